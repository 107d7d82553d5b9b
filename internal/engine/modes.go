package engine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// Modes of namespaces. A container's own is "", and ContainerMode is followed by an id.
const (
	HostMode      = "host"
	ContainerMode = "container:"
	NoneMode      = "none"      // IPC: its own, without /dev/shm
	ShareableMode = "shareable" // IPC: its own, which others may join
)

// Modes say whose namespaces a container has.
type Modes struct {
	Network string `json:"network,omitempty"` // ContainerMode or ""; Config.Network says the rest
	PID     string `json:"pid,omitempty"`
	IPC     string `json:"ipc,omitempty"`
	UTS     string `json:"uts,omitempty"`
	Cgroup  string `json:"cgroup,omitempty"`
	User    string `json:"user,omitempty"`
}

// mode is one namespace's.
type mode struct {
	kind specs.LinuxNamespaceType
	file string // in /proc/PID/ns
	mode string
}

func (m Modes) all() [6]mode {
	return [...]mode{
		{specs.UserNamespace, "user", m.User},
		{specs.NetworkNamespace, "net", m.Network},
		{specs.PIDNamespace, "pid", m.PID},
		{specs.IPCNamespace, "ipc", m.IPC},
		{specs.UTSNamespace, "uts", m.UTS},
		{specs.CgroupNamespace, "cgroup", m.Cgroup},
	}
}

// Donor is the id of the container whose namespaces are joined, "" for none.
func (m Modes) Donor() string {
	for _, n := range m.all() {
		if id, ok := strings.CutPrefix(n.mode, ContainerMode); ok {
			return id
		}
	}
	return ""
}

// hosts are the namespaces that are the host's, for a process that enters: what was joined, it finds in the container.
func (m Modes) hosts() (list []specs.LinuxNamespace) {
	for _, n := range m.all() {
		if n.mode == HostMode {
			list = append(list, specs.LinuxNamespace{Type: n.kind})
		}
	}
	return list
}

// donor is a running container whose namespaces another one joins.
type donor struct {
	state store.State
	extra runExtra
	cfg   Config
	files []*os.File // of its namespaces
	dir   string
}

func (d *donor) close() {
	for _, f := range d.files {
		_ = f.Close() // read only
	}
}

// ErrNotShareable is returned where an IPC namespace is to be joined that was not made for it.
var ErrNotShareable = errors.New("non-shareable IPC (hint: use --ipc shareable for the donor container)")

// joinModes finds the namespaces that the container shares.
func (c *Container) joinModes(s *Sandbox) error {
	m := c.Config.Modes
	if m == (Modes{}) {
		return nil
	}
	if m.IPC == NoneMode {
		s.Options.NoShm = true
	}
	s.Options.Shared = m.hosts()
	id := m.Donor()
	if id == "" {
		return nil
	}
	d, err := c.engine.findDonor(id)
	if err != nil {
		return err
	}
	s.donor = d
	for _, n := range m.all() {
		if strings.HasPrefix(n.mode, ContainerMode) {
			if err := d.lend(s, n); err != nil {
				return err
			}
		}
	}
	return d.check()
}

func (e *Engine) findDonor(id string) (*donor, error) {
	rec, err := e.Store.Container(id)
	if err != nil {
		return nil, fmt.Errorf("find the container to be joined: %w", err)
	}
	d := &donor{dir: e.Store.ContainerDir(rec.ID)}
	if d.cfg, err = ConfigOf(rec); err != nil {
		return nil, err
	}
	if d.state, err = e.Store.State(rec.ID); err != nil {
		return nil, err
	}
	if d.state.Status != StatusRunning {
		return nil, fmt.Errorf("cannot join a namespace of container %s, which %w", rec.Name, ErrNotRunning)
	}
	return d, d.extra.read(d.state)
}

// lend gives s one namespace of the container's: the host's, if it is that.
func (d *donor) lend(s *Sandbox, n mode) error {
	shared := specs.LinuxNamespace{Type: n.kind}
	if d.has(n.kind) == HostMode {
		s.Options.HostNetwork = s.Options.HostNetwork || n.kind == specs.NetworkNamespace
		s.Options.Shared = append(s.Options.Shared, shared)
		return nil
	}
	if n.kind == specs.IPCNamespace {
		if d.cfg.Modes.IPC == "" || d.cfg.Modes.IPC == NoneMode {
			return ErrNotShareable
		}
		if err := d.lendShm(s); err != nil {
			return err
		}
	}
	f, err := os.Open("/proc/" + strconv.Itoa(d.state.Pid) + "/ns/" + n.file)
	if err != nil {
		return fmt.Errorf("open the %s namespace to be joined: %w", n.kind, err)
	}
	d.files = append(d.files, f)
	shared.Path = descriptorPath(f)
	s.Options.Shared = append(s.Options.Shared, shared)
	return nil
}

// descriptorPath is a path of this process's that leads to f, wherever it came from.
func descriptorPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// has is the donor's own mode.
func (d *donor) has(kind specs.LinuxNamespaceType) string {
	if kind == specs.NetworkNamespace && d.cfg.Network == network.Host {
		return HostMode
	}
	for _, n := range d.cfg.Modes.all() {
		if n.kind == kind {
			return n.mode
		}
	}
	return ""
}

// lendShm gives s the /dev/shm that belongs to the IPC namespace.
func (d *donor) lendShm(s *Sandbox) error {
	shm, err := mount.CloneIn(d.state.Pid, "/dev/shm")
	if err != nil {
		return fmt.Errorf("join /dev/shm: %w", err)
	}
	const source = "shm" // it has no path here
	s.detached = map[string]*os.File{source: shm}
	s.Options.Mounts = append(s.Options.Mounts, specs.Mount{
		Destination: "/dev/shm", Type: "bind", Source: source, Options: []string{"bind", "nosuid", "noexec", "nodev"},
	})
	return nil
}

// check makes sure that what was opened was of the container, not of a process that has its pid now.
func (d *donor) check() error {
	ticks, err := runtime.StartTicks(d.state.Pid)
	if err != nil || d.state.StartTicks != 0 && ticks != d.state.StartTicks {
		return fmt.Errorf("the container to be joined %w any more", ErrNotRunning)
	}
	return nil
}
