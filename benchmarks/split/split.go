// Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5.
package main

import (
	"math/rand"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// CLOCK_THREAD_CPUTIME_ID of clock_gettime(2). getrusage(2) of a thread has the resolution of the
// scheduler's tick.
const thread = 3

var sink uint32

func cpu() time.Duration {
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, thread, uintptr(unsafe.Pointer(&now)), 0)
	return time.Duration(now.Nano())
}

//go:noinline
func burn_sixty(scale float64) {
	for end := cpu() + time.Duration(8400000*scale); cpu() < end; {
		for i := 0; i < 20000; i++ {
			sink = sink*1103515245 + 12345
		}
	}
}

//go:noinline
func burn_thirty(scale float64) {
	for end := cpu() + time.Duration(4200000*scale); cpu() < end; {
		for i := 0; i < 20000; i++ {
			sink = sink*1103515245 + 12345
		}
	}
}

//go:noinline
func burn_ten(scale float64) {
	for end := cpu() + time.Duration(1400000*scale); cpu() < end; {
		for i := 0; i < 20000; i++ {
			sink = sink*1103515245 + 12345
		}
	}
}

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		// The clock is the thread's: the goroutine stays on it.
		runtime.LockOSThread()
		scale := 0.5 + rand.Float64()
		burn_sixty(scale)
		burn_thirty(scale)
		burn_ten(scale)
		runtime.UnlockOSThread()
		answer.Header().Set("Content-Type", "text/plain")
		answer.Write([]byte("ok"))
	})
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
