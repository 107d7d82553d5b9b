package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// Container states, as they are recorded.
const (
	StatusCreated = "created"
	StatusRunning = "running"
	StatusExited  = "exited"
)

// Config is what a container is started from. It is kept in the container's record, so that `start` can
// do it again and `exec` can join.
type Config struct {
	User        string            `json:"user,omitempty"` // docker's syntax
	GroupAdd    []string          `json:"groupAdd,omitempty"`
	Spec        oci.SpecOptions   `json:"spec"`
	Network     network.Mode      `json:"network"`
	Ports       []network.Port    `json:"ports,omitempty"`
	Volumes     []string          `json:"volumes,omitempty"` // anonymous volumes' paths in the container
	Named       []NamedVolume     `json:"named,omitempty"`   // volumes that outlive the container
	Profile     string            `json:"profile,omitempty"` // directory of the profile that it obeys
	Init        bool              `json:"init,omitempty"`
	OpenStdin   bool              `json:"openStdin,omitempty"`
	StopSignal  string            `json:"stopSignal,omitempty"`
	StopSeconds int               `json:"stopSeconds,omitempty"` // 0: the default
	Labels      map[string]string `json:"labels,omitempty"`
	Modes       Modes             `json:"modes,omitzero"`        // whose namespaces it has
	Devices     []Device          `json:"devices,omitempty"`     // of the host's
	Names       Names             `json:"names,omitzero"`        // what it knows of other hosts
	SecurityOpt []string          `json:"securityOpt,omitempty"` // as typed
	Limits
}

// runExtra is the engine's part of a running container's state.
type runExtra struct {
	HostIDBase uint32 `json:"hostIDBase"`
	IDCount    uint32 `json:"idCount"`
}

// Container is a container whose lock this process holds.
type Container struct {
	Record *store.Container
	Config Config
	// Attach is runtime.StartOptions.Attach, for the next Start; may be nil.
	Attach func(pid int) error
	// Filter takes the place of the recorded seccomp filter at the next Start, and of none that is entered later; nil:
	// the recorded one.
	Filter *specs.LinuxSeccomp
	// Unwritable is told of mounts that the user cannot write to, before anything runs; may be nil.
	Unwritable func(Unwritable)

	engine *Engine
	fresh  bool // it has never run: its upper directory is nobody's work
	lock   *store.ContainerLock
	net    *network.Network
	state  store.State
	now    func() time.Time
}

// NewID is a random container id.
func NewID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Create records a container: rec without its Options, which are cfg. An empty name is chosen; a taken
// one is store.ErrConflict.
func (e *Engine) Create(ctx context.Context, rec *store.Container, cfg Config) (*Container, error) {
	raw, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("encode container options: %w", err)
	}
	rec.Options = raw
	chosen := rec.Name == ""
	for attempt := 0; ; attempt++ {
		if chosen {
			rec.Name = randomName(attempt)
		}
		lock, err := e.recordContainer(ctx, rec, &cfg)
		if errors.Is(err, store.ErrConflict) && chosen && attempt < 10 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &Container{Record: rec, Config: cfg, engine: e, fresh: true, lock: lock, now: time.Now}, nil //nolint:forbidigo // the default clock
	}
}

// Open takes an existing container, to start or to remove it. store.ErrInUse where it runs.
func (e *Engine) Open(rec *store.Container) (*Container, error) {
	cfg, err := ConfigOf(rec)
	if err != nil {
		return nil, err
	}
	lock, err := e.Store.LockContainer(rec.ID)
	if err != nil {
		return nil, err
	}
	return &Container{Record: rec, Config: cfg, engine: e, lock: lock, now: time.Now}, nil //nolint:forbidigo // the default clock
}

// openRetries bounds how often OpenStopped looks again, pollInterval apart.
const openRetries = 20

// OpenStopped is Open for a container that is believed to have ended: another process may hold its lock
// for a moment to see whether that is so. store.ErrInUse where it does run.
func (e *Engine) OpenStopped(ctx context.Context, rec *store.Container) (*Container, error) {
	for i := 0; ; i++ {
		c, err := e.Open(rec)
		if !errors.Is(err, store.ErrInUse) || i == openRetries {
			return c, err
		}
		if st, stErr := e.Store.State(rec.ID); stErr != nil || st.Status == StatusRunning {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// ConfigOf reads what a container is started from.
func ConfigOf(rec *store.Container) (Config, error) {
	var cfg Config
	if len(rec.Options) == 0 {
		return cfg, nil
	}
	if err := json.Unmarshal(rec.Options, &cfg); err != nil {
		return cfg, fmt.Errorf("read options of container %s: %w", rec.Name, err)
	}
	return cfg, nil
}

// Close gives the lock back without changing anything.
func (c *Container) Close() { c.lock.Unlock() }

// Remove removes the container; it must not run.
func (c *Container) Remove() error {
	defer c.lock.Unlock()
	return c.engine.Store.RemoveContainer(c.Record.ID)
}

// recycle removes the container after its processes have ended.
func (c *Container) recycle() error {
	defer c.lock.Unlock()
	return c.engine.Store.RecycleContainer(c.Record.ID)
}

// Dir is the container's directory.
func (c *Container) Dir() string { return c.engine.Store.ContainerDir(c.Record.ID) }

// LogPath is the container's log, in docker's json-file format.
func (c *Container) LogPath() string { return filepath.Join(c.Dir(), LogName) }

// Start starts the container's process and records that it runs. Where the command cannot be executed,
// a container that is kept stays as "created"; after any other error the caller decides.
func (c *Container) Start(ctx context.Context, stdio runtime.Stdio, check func(oci.User) error) (*Running, error) {
	s, err := c.sandbox(ctx)
	defer s.close()
	if err != nil {
		return nil, c.releaseNetwork(ctx, err)
	}
	s.Stdio, s.CheckUser, s.Attach = stdio, check, c.Attach
	if c.Filter != nil {
		s.Options.Seccomp, s.Options.SeccompUnconfined = c.Filter, false
	}
	if c.watchesMounts() {
		s.Filled = c.lookAtMounts
	}
	r, err := c.engine.Start(ctx, s)
	if err != nil {
		return nil, c.releaseNetwork(ctx, err)
	}
	if err := c.recordRunning(r); err != nil {
		_ = r.Signal(unix.SIGKILL) // the error tells more
		_, waitErr := r.Wait(ctx)
		return nil, c.releaseNetwork(ctx, errors.Join(err, waitErr))
	}
	return r, nil
}

func (c *Container) releaseNetwork(ctx context.Context, err error) error {
	if c.net == nil {
		return err
	}
	return errors.Join(err, c.net.Release(context.WithoutCancel(ctx)))
}

// sandbox prepares directories, files and network. What there is of it on error is to be closed, too.
func (c *Container) sandbox(ctx context.Context) (*Sandbox, error) {
	lower := make([]string, len(c.Record.Layers))
	for i, id := range c.Record.Layers {
		lower[i] = c.engine.Store.LayerDir(id)
	}
	dir := c.Dir()
	s := &Sandbox{
		ID:        c.Record.ID,
		Lower:     lower,
		UpperBase: dir,
		Upper:     filepath.Join(dir, "upper"),
		Work:      filepath.Join(dir, "work"),
		Volatile:  c.Record.AutoRemove,
		User:      c.Config.User,
		GroupAdd:  c.Config.GroupAdd,
		Options:   c.Config.Spec,
		Init:      c.Config.Init,
		Limits:    c.Config.Limits,
	}
	if err := makeUpper(s, c.fresh); err != nil {
		return nil, err
	}
	if err := c.connect(ctx, s); err != nil {
		return nil, err
	}
	if err := c.joinModes(s); err != nil {
		return s, err
	}
	if err := c.addFiles(s); err != nil {
		return s, err
	}
	if err := c.addDevices(s); err != nil {
		return s, err
	}
	if err := c.addVolumes(s); err != nil {
		return s, err
	}
	sortMounts(s.Options.Mounts)
	return s, nil
}

// sortMounts puts a mount before those below it, as docker does; equals keep their order.
func sortMounts(mounts []specs.Mount) {
	slices.SortStableFunc(mounts, func(a, b specs.Mount) int {
		return strings.Count(path.Clean(a.Destination), "/") - strings.Count(path.Clean(b.Destination), "/")
	})
}

// makeUpper makes the upper and work directories. The upper's attributes become those of the container's
// root, so they are copied from the image's topmost layer.
func makeUpper(s *Sandbox, fresh bool) error {
	if err := mkdir(s.Work, 0o700); err != nil {
		return err
	}
	if err := unix.Mkdir(s.Upper, 0o755); err != nil {
		if !errors.Is(err, unix.EEXIST) {
			return &os.PathError{Op: "mkdir", Path: s.Upper, Err: err}
		}
		if !fresh {
			return nil
		}
	}
	if len(s.Lower) == 0 {
		return nil
	}
	var have, want unix.Stat_t
	if err := errors.Join(unix.Lstat(s.Lower[len(s.Lower)-1], &want), unix.Lstat(s.Upper, &have)); err != nil {
		return fmt.Errorf("read attributes of the image's root: %w", err)
	}
	if have.Uid != want.Uid || have.Gid != want.Gid {
		if err := os.Lchown(s.Upper, int(want.Uid), int(want.Gid)); err != nil {
			return err
		}
	}
	if have.Mode != want.Mode {
		return unix.Chmod(s.Upper, want.Mode&0o7777)
	}
	return nil
}

// connect reserves the network.
func (c *Container) connect(ctx context.Context, s *Sandbox) error {
	networked := c.Config.Network == network.Bridge || c.Config.Network == network.Pasta
	if networked {
		if err := network.Sweep(ctx); err != nil {
			return err
		}
	}
	n, err := network.New(ctx, network.Options{
		ID:       c.Record.ID,
		Mode:     c.Config.Network,
		Hostname: c.Config.Spec.Hostname,
		Ports:    c.Config.Ports,
		Rootless: c.engine.Rootless,
	})
	if err != nil {
		return err
	}
	c.net = n
	s.Options.HostNetwork = c.Config.Network == network.Host
	if networked {
		s.Network = n
	}
	return nil
}

func (c *Container) addVolumes(s *Sandbox) error {
	for i, p := range c.Config.Volumes {
		v := Volume{Path: p, Dir: filepath.Join(s.UpperBase, "volumes", strconv.Itoa(i))}
		if err := os.MkdirAll(v.Dir, 0o755); err != nil { //nolint:gosec // the image's attributes follow
			return fmt.Errorf("make volume %s: %w", p, err)
		}
		s.Volumes = append(s.Volumes, v)
		s.Options.Mounts = append(s.Options.Mounts, v.mount())
	}
	for _, n := range c.Config.Named {
		v := n.volume(c.engine.Store)
		s.Volumes = append(s.Volumes, v)
		s.Options.Mounts = append(s.Options.Mounts, v.mount())
	}
	return nil
}

func (c *Container) recordRunning(r *Running) error {
	ticks, err := runtime.StartTicks(r.Pid)
	if err != nil {
		ticks = 0 // it has ended already; Wait says how
	}
	extra, err := json.Marshal(r.ids)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	c.state = store.State{
		Status:     StatusRunning,
		Pid:        r.Pid,
		StartTicks: ticks,
		MonitorPid: os.Getpid(),
		Started:    c.now().UTC(),
		User:       fmt.Sprintf("%d:%d", r.User.UID, r.User.GID),
		Extra:      extra,
	}
	for _, p := range c.net.Ports() {
		c.state.Ports = append(c.state.Ports, p.String())
	}
	if a := c.net.Address(); a.IsValid() {
		c.state.IP = a.String()
	}
	return c.engine.Store.SetState(c.Record.ID, c.state)
}

// Wait waits for the end, gives everything back, and records the exit or removes the container.
func (c *Container) Wait(ctx context.Context, r *Running) (runtime.Exit, error) {
	exit, err := r.Wait(ctx)
	err = c.releaseNetwork(ctx, err)
	c.state.Status, c.state.Pid, c.state.MonitorPid = StatusExited, 0, 0
	c.state.ExitCode, c.state.Finished, c.state.OOMKilled = exit.Code, c.now().UTC(), r.OOMKilled()
	c.state.Ports, c.state.IP, c.state.Extra = nil, "", nil
	if c.Record.AutoRemove {
		return exit, errors.Join(err, c.announce(), c.recycle())
	}
	err = errors.Join(err, c.engine.Store.SetState(c.Record.ID, c.state))
	c.lock.Unlock()
	return exit, err
}

// Abandon clears up after an error of Start: the container is removed unless it is to be kept and its
// command was the fault, as docker keeps it.
func (c *Container) Abandon(cause error) error {
	var cmd *runtime.CommandError
	if !errors.As(cause, &cmd) || c.Record.AutoRemove {
		return c.Remove()
	}
	defer c.lock.Unlock()
	return c.engine.Store.SetState(c.Record.ID, store.State{
		Status: StatusCreated, ExitCode: cmd.Code, Error: cause.Error(),
	})
}
