package runtime

import (
	"io"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// readConsole reads all that a container writes to its terminal; a pty ends with EIO.
func readConsole(t *testing.T, console *os.File) string {
	t.Helper()
	if console == nil {
		t.Fatal("no console")
	}
	defer console.Close()
	var text strings.Builder
	_, _ = io.Copy(&text, console)
	return text.String()
}

const ttyReport = "stdin /dev/pts/0\nsize 33x111\nsession leader true\nforeground true\ncontrolling true\n"

func terminalBox(t *testing.T, args ...string) *box {
	b := newBox(t, args...)
	b.o.Spec.Process.Terminal = true
	b.o.Spec.Process.ConsoleSize = &specs.Box{Height: 33, Width: 111}
	return b
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestTerminal(t *testing.T) {
	b := terminalBox(t, "guest", "tty")
	p := b.start()
	if got := readConsole(t, p.Console); got != crlf(ttyReport+"console true\n") {
		t.Errorf("%q", got)
	}
	if exit, err := p.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestTerminalBelowInit(t *testing.T) {
	b := terminalBox(t, "guest", "tty")
	b.o.Init = true
	p := b.start()
	want := strings.Replace(ttyReport, "leader true", "leader false", 1)
	if got := readConsole(t, p.Console); got != crlf(want+"console true\n") {
		t.Errorf("%q", got)
	}
	if exit, err := p.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestTerminalInput types at a container: the line arrives, and ctrl-c ends it by SIGINT, once.
func TestTerminalInput(t *testing.T) {
	for name, init := range map[string]bool{"plain": false, "init": true} {
		t.Run(name, func(t *testing.T) {
			b := terminalBox(t, "guest", "type")
			b.o.Init = init
			p := b.start()
			defer p.Console.Close()
			// One at a time: ctrl-c throws away what has not been read.
			for _, step := range [][2]string{{"ready", "ahoy\n"}, {"heard", "\x03"}} {
				readUntil(t, p.Console, step[0])
				if _, err := p.Console.WriteString(step[1]); err != nil {
					t.Fatal(err)
				}
			}
			exit, err := p.Wait()
			if err != nil || exit.Code != 7 {
				t.Errorf("%+v, %v, want exit 7 after the line and one SIGINT", exit, err)
			}
		})
	}
}

func readUntil(t *testing.T, r io.Reader, word string) {
	t.Helper()
	var text []byte
	buf := make([]byte, 256)
	for !strings.Contains(string(text), word) {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text = append(text, buf[:n]...)
	}
}

func TestTerminalExec(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	proc := *b.o.Spec.Process
	proc.Args, proc.Terminal, proc.ConsoleSize = []string{"guest", "tty"}, true, &specs.Box{Height: 33, Width: 111}
	e, err := Exec(t.Context(), ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: &proc})
	if err != nil {
		t.Fatal(err)
	}
	if got := readConsole(t, e.Console); got != crlf(ttyReport+"console false\n") {
		t.Errorf("%q", got)
	}
	if exit, err := e.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestTerminalElsewhere has /dev/pts not be a devpts: no terminal is taken from it.
func TestTerminalElsewhere(t *testing.T) {
	b := terminalBox(t, "guest", "tty")
	b.o.Spec.Mounts[2] = bindMount(volume(t), "/dev/pts")
	_, err := b.try(t.Context())
	if err == nil || !strings.Contains(err.Error(), "/dev/pts") {
		t.Errorf("%v", err)
	}
}
