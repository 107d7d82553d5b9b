package harden_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
)

// lab is a harden.Lab in which nothing is real. It knows nothing of how services are hardened: only what a kernel
// and an engine do.
type lab struct {
	base     rootfs             // of the image that Dockerfiles are built from
	programs map[string]program // by their files
	lacks    []string           // commands that the image does not have
	images   map[string]*image
	ports    []string // published besides those that images expose
	builds   int
	trials   []harden.Trial
	before   func(ctx context.Context, n int) error // is called before the trial of that number, from 1
}

var _ harden.Lab = (*lab)(nil)

func newLab(files string, programs map[string]program) *lab {
	l := &lab{base: lay(debian, files), programs: programs, images: map[string]*image{}}
	for name := range programs {
		if l.base[name] == nil {
			l.base.add(name, &node{mode: 0o755})
		}
	}
	return l
}

// SetPorts is that of harden.Lab.
func (l *lab) SetPorts(ports []string) error {
	l.ports = ports
	return nil
}

// Probe finds everything allowed to root, and nothing to others.
func (l *lab) Probe(ctx context.Context, id string, s probe.Setting) (*probe.Column, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.images[id] == nil {
		return nil, fmt.Errorf("no image %s", id)
	}
	c := &probe.Column{Title: s.Title, User: "0:0"}
	verdict := probe.Allowed
	if s.Profile != nil {
		c.User, verdict = s.Profile.User, probe.Denied
	}
	for _, p := range probe.Probes() {
		c.Results = append(c.Results, probe.Result{Probe: p.Name, Verdict: verdict})
	}
	return c, nil
}

// Try is that of harden.Lab.
func (l *lab) Try(ctx context.Context, t harden.Trial) (*harden.Outcome, error) {
	l.trials = append(l.trials, t)
	if l.before != nil {
		if err := l.before(ctx, len(l.trials)); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.images[t.Image] == nil {
		return nil, fmt.Errorf("no image %s", t.Image)
	}
	r, err := l.newRun(t)
	if err != nil {
		return nil, err
	}
	out := r.whole()
	out.Ready, out.Service, out.Took = 100*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond
	if t.Observe {
		out.Record = r.seen
	}
	return out, nil
}

// mount is a tree within the tree.
type mount struct {
	at       string
	files    rootfs
	readOnly bool
}

// run is one trial.
type run struct {
	lab       *lab
	image     *image
	n         int // its number
	user      string
	caps      []string // of the first process
	bounding  []string
	portStart int
	filter    []string // nil: all is allowed
	profile   *profile.Profile
	root      *mount
	volumes   []*mount
	mounts    []*mount // of the container that runs: the root comes first
	bound     []string
	pids      int
	restarted bool
	seen      *observe.Record
}

func (l *lab) newRun(t harden.Trial) (*run, error) {
	r := &run{
		lab: l, image: l.images[t.Image], n: len(l.trials), portStart: 1024, profile: t.Profile,
		seen: &observe.Record{Syscalls: map[string]uint64{}},
	}
	r.user = r.image.config.User
	r.bounding = strings.Fields("CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP " +
		"CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE CAP_SETFCAP")
	if r.user == "" || r.user == "root" {
		r.user = "0:0"
	}
	if strings.HasPrefix(r.user, "0:") {
		r.caps = r.bounding
	}
	r.root = &mount{at: "/", files: r.image.files.below("/"), readOnly: t.Profile != nil && !t.Profile.ReadWrite}
	if t.Profile == nil {
		for dir := range r.image.config.Volumes {
			r.addVolume(dir)
		}
	} else if err := r.obey(t.Profile); err != nil {
		return nil, err
	}
	if t.Seccomp != nil {
		var file struct {
			Syscalls []struct{ Names []string }
		}
		if err := json.Unmarshal(t.Seccomp, &file); err != nil {
			return nil, err
		}
		for _, rule := range file.Syscalls {
			r.filter = append(r.filter, rule.Names...)
		}
	}
	return r, nil
}

func (r *run) obey(p *profile.Profile) error {
	if err := p.Check(); err != nil {
		return err
	}
	r.user, r.caps, r.bounding = p.User, p.Capabilities, p.Capabilities
	for _, v := range p.Volumes {
		r.addVolume(v.Path)
	}
	for name, value := range p.Sysctls {
		if name == "net.ipv4.ip_unprivileged_port_start" {
			_, _ = fmt.Sscanf(value, "%d", &r.portStart)
		}
	}
	return nil
}

// addVolume makes a volume with the image's content.
func (r *run) addVolume(dir string) {
	files := r.image.files.below(dir)
	if files[dir] == nil {
		files[dir] = &node{mode: fs.ModeDir | 0o755}
	}
	if !slices.ContainsFunc(r.volumes, func(m *mount) bool { return m.at == dir }) {
		r.volumes = append(r.volumes, &mount{at: dir, files: files})
	}
}

// start makes what is in memory afresh, and runs the command.
func (r *run) start() (*process, error) {
	p := &process{run: r, dir: path.Join("/", r.image.config.WorkingDir), pid: r.nextPID(), caps: r.caps}
	if _, err := fmt.Sscanf(r.user, "%d:%d", &p.uid, &p.gid); err != nil {
		return nil, fmt.Errorf("user %q: %w", r.user, err)
	}
	r.bound, r.mounts = nil, []*mount{r.root}
	for _, dir := range []string{"/dev", "/dev/shm", "/proc/self"} {
		mode := fs.ModeDir | 0o755
		if dir == "/dev/shm" {
			mode |= 0o777
		}
		r.mounts = append(r.mounts, &mount{at: dir, files: rootfs{dir: {mode: mode}}, readOnly: dir != "/dev/shm"})
	}
	r.make("/dev/null", &node{mode: 0o666})
	if r.profile != nil {
		for _, t := range r.profile.Tmpfs {
			n := &node{mode: fs.ModeDir | 0o755, uid: p.uid, gid: p.gid}
			if t.Mode == "1777" {
				n.mode |= 0o777
			}
			r.mounts = append(r.mounts, &mount{at: t.Path, files: rootfs{t.Path: n}})
		}
	}
	r.mounts = append(r.mounts, r.volumes...)
	for _, m := range r.mounts {
		r.root.files.mkdirAll(m.at)
	}
	p.env = r.environment(p.uid)
	return p, p.exec(slices.Concat(r.image.config.Entrypoint, r.image.config.Cmd))
}

func (r *run) nextPID() int {
	r.pids++
	return 1000 + r.pids
}

// whole is a trial from its start to its end.
func (r *run) whole() *harden.Outcome {
	p, out := r.ready(harden.StageCheck)
	if out != nil {
		return out
	}
	if err := p.all(p.program.exercise); err != nil {
		return &harden.Outcome{Stage: harden.StageExercise, Reason: "the exercise failed: " + err.Error()}
	}
	killed, output := "", ""
	if err := p.all(p.program.stop); err != nil {
		killed, output = "it did not end within 10 s", err.Error()
	} else if p.program.deaf {
		killed = "it did not end within 10 s"
	}
	r.restarted = true
	if _, out := r.ready(harden.StageRestart); out != nil {
		return out
	}
	return &harden.Outcome{Passed: true, Stage: harden.StageDone, Killed: killed, Late: killed != "", Output: output}
}

// ready starts the service, and checks it.
func (r *run) ready(stage harden.Stage) (*process, *harden.Outcome) {
	p, err := r.start()
	if err != nil && len(p.argv) == 0 {
		return nil, &harden.Outcome{Stage: harden.StageStart, Reason: err.Error()}
	}
	if err != nil {
		return nil, &harden.Outcome{Stage: stage, Exited: true, Reason: "the service exited with code 1", Output: err.Error()}
	}
	ports := slices.Clone(r.lab.ports)
	for port := range r.image.config.ExposedPorts {
		ports = append(ports, strings.TrimSuffix(port, "/tcp")+"/tcp")
	}
	for _, port := range ports {
		if !slices.Contains(r.bound, port) {
			return nil, &harden.Outcome{Stage: stage, Reason: "nothing listens on port " + port}
		}
	}
	return p, nil
}

// mountAt is what a path is in.
func (r *run) mountAt(name string) *mount {
	best := r.mounts[0]
	for _, m := range r.mounts {
		if within(name, m.at) && len(m.at) >= len(best.at) {
			best = m
		}
	}
	return best
}

func (r *run) stat(name string) *node { return r.mountAt(name).files[name] }

func (r *run) make(name string, n *node) { r.mountAt(name).files[name] = n }

// filtered counts a system call, and reports whether the filter refuses it.
func (r *run) filtered(name string) bool {
	r.seen.Syscalls[name]++
	return r.filter != nil && !slices.Contains(r.filter, name)
}

// record keeps a call. Those that are alike are one, but for programs and identities.
func (r *run) record(c *observe.Call) {
	if c.Syscall != "execve" && !strings.HasPrefix(c.Syscall, "set") {
		for i := range r.seen.Calls {
			if have := &r.seen.Calls[i]; alike(have, c) {
				have.Count++
				return
			}
		}
	}
	r.seen.Calls = append(r.seen.Calls, *c)
}

func alike(a, b *observe.Call) bool {
	return a.Syscall == b.Syscall && a.Errno == b.Errno && a.Path == b.Path && a.To == b.To && a.Writes == b.Writes &&
		a.ID == b.ID && a.Group == b.Group && a.Address == b.Address && a.Socket == b.Socket && a.Process.Exe == b.Process.Exe &&
		a.Process.UID == b.Process.UID
}

// failure ends a service.
type failure struct {
	what  string
	errno syscall.Errno
}

// Error is what the service prints.
func (f *failure) Error() string { return f.what + ": " + f.errno.Error() }
