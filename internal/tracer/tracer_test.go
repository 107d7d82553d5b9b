package tracer

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFirst(t *testing.T) {
	for _, n := range []string{"files", "paths", "sockets", "ids", "refused", "names", "threads", "execs"} {
		t.Run(n, func(t *testing.T) {
			b := newBox(t, "/guest", n)
			if n == "refused" {
				b.filtered()
			}
			r := b.run()
			if r.Code != 0 {
				t.Errorf("exit %d\n%s%s", r.Code, r.out, r.err)
			}
			rec := b.tracer.Record()
			if n != "execs" {
				if diff := cmp.Diff([]string{}, between(t, rec)); diff != "" {
					t.Error(diff)
				}
			} else {
				for _, c := range rec.Calls {
					fmt.Fprintln(os.Stderr, line(&c), c.Process)
				}
			}
			fmt.Fprintln(os.Stderr, rec.Syscalls, rec.Lost)
		})
	}
}
