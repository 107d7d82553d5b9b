package network

import (
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestKilledHolder kills a process that holds a network, and sees what the next ones do.
func TestKilledHolder(t *testing.T) {
	m := newMachine(t)
	living := m.run(t, "8000:80")
	kill := func() {
		t.Helper()
		startHolder(t, m, "8080:80,127.0.0.1:9090:90,5353:53/udp").kill(t)
		if got := len(m.elements(t)); got != 4 {
			t.Fatalf("%d elements before the sweep, want 4", got)
		}
	}
	t.Run("sweep", func(t *testing.T) {
		kill()
		check(t, m.cfg.sweep(t.Context()))
		if got := m.elements(t); len(got) != 1 || got[0].port != 8000 {
			t.Errorf("left: %v", got)
		}
		if left, dead := m.leased(t); len(left) != 1 || left[0].addr != living.Address() || len(dead) != 0 {
			t.Errorf("left: %v %v", left, dead)
		}
	})
	t.Run("same port", func(t *testing.T) {
		kill()
		c := m.run(t, "8080:81", "5353:54/udp")
		serve(t, c.ns, "tcp4", ":81", "next")
		if got, _, err := ask(t, m.lan, "tcp4", machineIP+":8080"); got != "next" {
			t.Errorf("%q, %v", got, err)
		}
		check(t, m.cfg.sweep(t.Context()))
		if got := len(m.elements(t)); got != 3 {
			t.Errorf("%d elements, want 3: the sweep must spare the port's new owner", got)
		}
		check(t, c.Release(t.Context()))
	})
}

// TestKilledHolderAddress: the only address was a killed process's, and so are the elements to it.
func TestKilledHolderAddress(t *testing.T) {
	m := newMachine(t)
	m.cfg.subnets = []netip.Prefix{netip.MustParsePrefix("10.87.0.0/30")}
	check(t, m.open(t).Release(t.Context()))
	startHolder(t, m, "8080:80,5353:53/udp").kill(t)
	if got := len(m.elements(t)); got != 2 {
		t.Fatalf("%d elements, want 2", got)
	}
	c := m.run(t)
	if got := c.Address().String(); got != "10.87.0.2" {
		t.Errorf("address %s", got)
	}
	if got := m.elements(t); len(got) != 0 {
		t.Errorf("ports of the dead lead to the living: %v", got)
	}
}

type holder struct {
	cmd *exec.Cmd
}

// startHolder runs hold in a process of its own and waits until its network is attached.
func startHolder(t *testing.T, m *machine, ports string) *holder {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"="+m.cfg.dir, "PORTS="+ports)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	buf := make([]byte, 5)
	if n, err := out.Read(buf); string(buf[:n]) != "held\n" {
		_ = cmd.Process.Kill()
		t.Fatalf("holder said %q: %v", buf[:n], err)
	}
	return &holder{cmd}
}

func (h *holder) kill(t *testing.T) {
	t.Helper()
	check(t, h.cmd.Process.Kill())
	_ = h.cmd.Wait()
	if ws, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("holder ended by itself: %v", h.cmd.ProcessState)
	}
}
