package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/network"
)

func TestModes(t *testing.T) {
	m := Modes{PID: HostMode, IPC: ShareableMode, UTS: ContainerMode + "abc", User: ContainerMode + "abc"}
	if got := m.Donor(); got != "abc" {
		t.Errorf("donor %q", got)
	}
	if diff := cmp.Diff([]specs.LinuxNamespace{{Type: specs.PIDNamespace}}, m.hosts()); diff != "" {
		t.Error(diff)
	}
	if got := (Modes{PID: HostMode}).Donor(); got != "" {
		t.Errorf("donor %q of none", got)
	}
}

// What a container has of the host, who joins it has of the host, too: there is nothing to be entered.
func TestLendHosts(t *testing.T) {
	d := &donor{cfg: Config{Network: network.Host, Modes: Modes{PID: HostMode, User: HostMode}}}
	s := &Sandbox{}
	for _, n := range (Modes{Network: "container:a", PID: "container:a", User: "container:a"}).all() {
		if n.mode == "" {
			continue
		}
		if err := d.lend(s, n); err != nil {
			t.Fatal(err)
		}
	}
	want := []specs.LinuxNamespace{{Type: specs.UserNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.PIDNamespace}}
	if diff := cmp.Diff(want, s.Options.Shared); diff != "" || !s.Options.HostNetwork || len(d.files) > 0 {
		t.Errorf("host network %v, files %v, %s", s.Options.HostNetwork, d.files, diff)
	}
}

func TestLendIPC(t *testing.T) {
	for _, mode := range []string{"", NoneMode} {
		d := &donor{cfg: Config{Modes: Modes{IPC: mode}}}
		if err := d.lend(&Sandbox{}, sharedOf(specs.IPCNamespace)); err != ErrNotShareable { //nolint:errorlint // it is not wrapped
			t.Errorf("%q: %v", mode, err)
		}
	}
}

func sharedOf(kind specs.LinuxNamespaceType) mode { return mode{kind: kind, mode: ContainerMode + "a"} }
