// An HTTP/1.1 server of the contract on Go's net/http: server PORT [FAULT].
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: server PORT [FAULT]")
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := &server{routes: routes(), listen: listen}
	for _, name := range os.Args[2:] {
		apply, known := faults[name]
		if !known {
			log.Fatalf("no fault %q", name)
		}
		apply(s)
	}
	mux := http.NewServeMux()
	for path, handler := range s.routes {
		mux.HandleFunc(path, handler)
	}
	listener, err := s.listen(port)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, mux))
}
