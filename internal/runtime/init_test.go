package runtime

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInit(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/1/cmdline", "/proc/1/status", "/proc/self/status")
	b.o.Init = true
	r := b.run()
	if !strings.HasPrefix(r.out, "deckhand-init\x00") {
		t.Errorf("%+v", r)
	}
	init, command, _ := strings.Cut(r.out[1:], "Name:")
	_ = init
	own, command, _ := strings.Cut(command, "Name:")
	for _, key := range []string{"Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"} {
		if a, b := status(own, key), status(command, key); a != b {
			t.Errorf("%s of the init is %s, the command's %s", key, a, b)
		}
	}
}

func TestInitExitCodes(t *testing.T) {
	for args, want := range map[string]int{"exit 0": 0, "exit 42": 42, "raise 9": 137, "raise 15": 143} {
		b := newBox(t, append([]string{"guest"}, strings.Fields(args)...)...)
		b.o.Init = true
		if r := b.run(); r.Code != want {
			t.Errorf("%s: %+v, want %d", args, r, want)
		}
	}
}

// TestInitForwards sends signals to pid 1, which its child must get.
func TestInitForwards(t *testing.T) {
	b := newBox(t, "guest", "signals")
	b.o.Init = true
	out, done := collect(t)
	b.o.Stdio = Stdio{Out: out}
	p := b.start()
	_ = out.Close()
	time.Sleep(50 * time.Millisecond) // the guest has no way to say that it listens but its output
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGTERM} {
		if err := p.Signal(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	exit, err := p.Wait()
	if err != nil || exit.Code != 3 {
		t.Errorf("%+v, %v, want exit 3", exit, err)
	}
	if got, want := <-done, "hangup\nuser defined signal 1\nwindow changed\nterminated\n"; got != want {
		t.Errorf("signals %q, want %q", got, want)
	}
}

// TestInitReaps leaves orphans behind: none of them stays a zombie.
func TestInitReaps(t *testing.T) {
	b := newBox(t, "guest", "orphan")
	b.o.Init = true
	b.want("no zombies")
}

// TestEnvironmentOfInit: the command's is not changed by the init.
func TestInitEnvironment(t *testing.T) {
	b := newBox(t, "guest", "env")
	b.o.Init = true
	b.o.Spec.Process.Env = []string{searchDirs, "GOGC=50", "X=1"}
	b.want(strings.Join(b.o.Spec.Process.Env, "\n"))
	if os.Getenv("GOGC") == "50" {
		t.Error("our own was changed")
	}
}
