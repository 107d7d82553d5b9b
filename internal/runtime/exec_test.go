package runtime

import (
	"strings"
	"testing"
)

// execIn runs a command in a running container.
func execIn(t *testing.T, b *box, p *Process, change func(*ExecOptions), args ...string) result {
	t.Helper()
	proc := *b.o.Spec.Process
	proc.Args = args
	out, outDone := collect(t)
	errs, errDone := collect(t)
	o := ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: &proc, Stdio: Stdio{Out: out, Err: errs}}
	if change != nil {
		change(&o)
	}
	e, err := Exec(t.Context(), o)
	_ = out.Close()
	_ = errs.Close()
	if err != nil {
		t.Fatal(err)
	}
	exit, err := e.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return result{exit, <-outDone, <-errDone}
}

func TestExec(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	r := execIn(t, b, p, nil, "guest", "cat", "/proc/self/status", "/proc/1/cmdline")
	if r.Code != 0 || status(r.out, "Uid") != "9000 9000 9000 9000" || !strings.Contains(r.out, "sleep") {
		t.Errorf("%+v", r)
	}
}
