// Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5.
import com.sun.net.httpserver.HttpServer;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.net.InetSocketAddress;
import java.util.concurrent.ThreadLocalRandom;

public class Split {
  static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  static int sink;

  static void burn_sixty(double scale) {
    long end = THREADS.getCurrentThreadCpuTime() + (long) (8_400_000 * scale);
    while (THREADS.getCurrentThreadCpuTime() < end) {
      int value = sink;
      for (int i = 0; i < 50_000; i++) value = value * 1103515245 + 12345 ^ i;
      sink = value;
    }
  }

  static void burn_thirty(double scale) {
    long end = THREADS.getCurrentThreadCpuTime() + (long) (4_200_000 * scale);
    while (THREADS.getCurrentThreadCpuTime() < end) {
      int value = sink;
      for (int i = 0; i < 50_000; i++) value = value * 1103515245 + 12345 ^ i;
      sink = value;
    }
  }

  static void burn_ten(double scale) {
    long end = THREADS.getCurrentThreadCpuTime() + (long) (1_400_000 * scale);
    while (THREADS.getCurrentThreadCpuTime() < end) {
      int value = sink;
      for (int i = 0; i < 50_000; i++) value = value * 1103515245 + 12345 ^ i;
      sink = value;
    }
  }

  public static void main(String[] arguments) throws Exception {
    HttpServer server =
        HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
    server.createContext(
        "/",
        exchange -> {
          double scale = ThreadLocalRandom.current().nextDouble(0.5, 1.5);
          burn_sixty(scale);
          burn_thirty(scale);
          burn_ten(scale);
          exchange.getResponseHeaders().set("Content-Type", "text/plain");
          exchange.sendResponseHeaders(200, 2);
          exchange.getResponseBody().write("ok".getBytes());
          exchange.close();
        });
    server.start();
  }
}
