# Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5.
require 'socket'

def cpu
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
end

def burn_sixty(scale)
  last = cpu + 0.0084 * scale
  500.times {} while cpu < last
end

def burn_thirty(scale)
  last = cpu + 0.0042 * scale
  500.times {} while cpu < last
end

def burn_ten(scale)
  last = cpu + 0.0014 * scale
  500.times {} while cpu < last
end

ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

server = TCPServer.new('127.0.0.1', Integer(ARGV[0]))
loop do
  Thread.new(server.accept) do |socket|
    socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
    while (line = socket.gets)
      next unless line == "\r\n"

      scale = rand(0.5..1.5)
      burn_sixty(scale)
      burn_thirty(scale)
      burn_ten(scale)
      socket.write(ANSWER)
    end
  rescue SystemCallError
    nil
  ensure
    socket.close
  end
end
