package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// server is what a fault may change.
type server struct {
	routes map[string]http.HandlerFunc
	listen func(port int) (net.Listener, error)
}

var faults = map[string]func(*server){
	"single":      single,
	"work":        work,
	"global_lock": globalLock,
	"gc_pressure": gcPressure,
	"nagle":       nagle,
	"backlog":     backlog,
	"read_all":    readAll,
	"slow":        slow,
}

// single: one thread at a time runs Go code, whatever the number of cores.
func single(*server) {
	runtime.GOMAXPROCS(1)
}

// digest is honest work: some 200 us of CPU time.
func digest() {
	var block [64 << 10]byte
	sha256.Sum256(block[:])
}

func before(s *server, path string, first func()) {
	handler := s.routes[path]
	s.routes[path] = func(writer http.ResponseWriter, request *http.Request) {
		first()
		handler(writer, request)
	}
}

// work: each request is worth some CPU time (healthy).
func work(s *server) {
	before(s, "/baseline11", digest)
}

// globalLock: the same work, with a mutex held that all requests share.
func globalLock(s *server) {
	var lock sync.Mutex
	before(s, "/baseline11", func() {
		lock.Lock()
		defer lock.Unlock()
		digest()
	})
}

// slow: each request is worth some 200 ms of CPU time (healthy: all cores spend it).
func slow(s *server) {
	before(s, "/baseline11", func() {
		for i := 0; i < 1000; i++ {
			digest()
		}
	})
}

// node is an object with a pointer: the collector has to follow it.
type node struct {
	next *node
	name [6]int64
}

// gcPressure: two million live objects, and a collector that starts whenever a twentieth was
// allocated on top of them.
func gcPressure(s *server) {
	debug.SetGCPercent(5)
	var kept *node
	for i := 0; i < 2_000_000; i++ {
		kept = &node{next: kept}
	}
	before(s, "/baseline11", func() {
		var garbage *node
		for i := 0; i < 500; i++ {
			garbage = &node{next: garbage}
		}
		runtime.KeepAlive(garbage)
		runtime.KeepAlive(kept)
	})
}

// delaying is a listener whose connections have Nagle's algorithm on.
type delaying struct{ net.Listener }

func (l delaying) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err == nil {
		err = connection.(*net.TCPConn).SetNoDelay(false)
	}
	return connection, err
}

// nagle: the head goes out in one write, the body in a second, with Nagle's algorithm on.
func nagle(s *server) {
	listen := s.listen
	s.listen = func(port int) (net.Listener, error) {
		listener, err := listen(port)
		return delaying{listener}, err
	}
	s.routes["/pipeline"] = func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "text/plain")
		writer.Header().Set("Content-Length", "2")
		writer.WriteHeader(http.StatusOK)
		writer.(http.Flusher).Flush()
		io.WriteString(writer, "ok")
	}
}

// slowly is a listener that takes 2 ms for each connection.
type slowly struct{ net.Listener }

func (l slowly) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	time.Sleep(2 * time.Millisecond)
	return connection, err
}

// backlog: room for 8 in the accept queue, and 2 ms for each connection that is accepted.
func backlog(s *server) {
	listen := s.listen
	s.listen = func(port int) (net.Listener, error) {
		listener, err := listen(port)
		if err != nil {
			return nil, err
		}
		raw, err := listener.(*net.TCPListener).SyscallConn()
		if err != nil {
			return nil, err
		}
		// A second call of listen sets the length of the queue anew (listen(2)).
		shortened := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 8) })
		if shortened != nil {
			err = shortened
		}
		return slowly{listener}, err
	}
}

// readAll: uploads are kept in memory until they are answered.
func readAll(s *server) {
	s.routes["/upload"] = func(writer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		answer(writer, fmt.Sprint(len(body)))
	}
}
