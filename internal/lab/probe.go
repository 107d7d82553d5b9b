package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/oci"
)

const (
	probePath  = "/.deckhand/probe" // where the battery's program is in the container
	probeLimit = time.Minute
	probeBytes = 1 << 20 // more than all results of any battery
)

// Probe implements probe.Runner.
func (l *Lab) Probe(ctx context.Context, image string, setting probe.Setting) (*probe.Column, error) {
	// The container dies with the thread that started it: it is ours until it has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	column, err := l.probe(ctx, image, setting)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", setting.Title, err)
	}
	return column, nil
}

func (l *Lab) probe(ctx context.Context, image string, setting probe.Setting) (*probe.Column, error) {
	c, err := l.probeContainer(ctx, image, setting)
	if err != nil {
		return nil, err
	}
	column := &probe.Column{Title: setting.Title}
	lines, errOut := &bounded{limit: probeBytes}, &tail{limit: checkTail}
	err = l.runProbe(ctx, c, lines, errOut, func(u oci.User) error {
		column.User = fmt.Sprintf("%d:%d", u.UID, u.GID)
		return nil
	})
	if err = errors.Join(err, c.Discard()); err != nil {
		return nil, err
	}
	if column.Results, err = results(lines); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, errOut)
	}
	return column, nil
}

// probeContainer makes a container of the image whose command is the battery.
func (l *Lab) probeContainer(ctx context.Context, image string, setting probe.Setting) (*engine.Container, error) {
	img, err := l.o.Engine.Store.Image(ctx, image)
	if err != nil {
		return nil, err
	}
	s := l.imageSettings(img)
	spec := &s.config.Spec
	spec.NewPrivileges = setting.NewPrivileges
	if setting.Profile == nil {
		s.addVolumes(img)
	} else if err := s.config.Obey(setting.Profile, nil); err != nil { // the filter is restrict's
		return nil, err
	}
	if setting.User != "" {
		s.config.User = setting.User
	}
	if err := s.restrict(setting.Seccomp); err != nil {
		return nil, err
	}
	if setting.Seccomp != nil {
		spec.Seccomp = allowing(s.filter, probe.Needs())
	}
	s.connect(l.o.Engine.Rootless, nil)
	command := spec.Args
	spec.Args = []string{probePath}
	if len(command) > 0 {
		spec.Args = append(spec.Args, "--command", command[0])
	}
	spec.Mounts = append(spec.Mounts, specs.Mount{
		Destination: probePath, Type: "bind", Source: l.o.Programs.Probe, Options: []string{"bind", "rprivate", "ro"},
	})
	s.record.Command = spec.Args
	return l.create(ctx, img, s)
}

// newNamespaces are the flags by which clone makes namespaces: what a probe tries, and no program is made of.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// allowing is the filter with calls that it allows besides, clone without new namespaces among them.
func allowing(p *specs.LinuxSeccomp, names []string) *specs.LinuxSeccomp {
	plain := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "clone" })
	out := *p
	out.Syscalls = append(slices.Clone(p.Syscalls), specs.LinuxSyscall{Names: plain, Action: specs.ActAllow}, specs.LinuxSyscall{
		Names: []string{"clone"}, Action: specs.ActAllow,
		Args: []specs.LinuxSeccompArg{{Index: 0, Value: newNamespaces, Op: specs.OpMaskedEqual}},
	})
	return &out
}

// runProbe runs the battery to its end.
func (l *Lab) runProbe(ctx context.Context, c *engine.Container, out *bounded, errOut *tail, user func(oci.User) error) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	s, err := startService(ctx, c, audience{out, errOut, user}, l.now)
	if err != nil {
		return err
	}
	select {
	case <-s.exited:
		err = <-s.released
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the battery did not end within %.0f s", probeLimit.Seconds()), s.kill())
	}
	if err == nil && s.exit.Code != 0 {
		err = fmt.Errorf("the battery failed with code %d\n%s", s.exit.Code, errOut)
	}
	return err
}

// results reads a line of JSON for each.
func results(lines *bounded) ([]probe.Result, error) {
	if lines.over {
		return nil, fmt.Errorf("the battery printed more than %d bytes", lines.limit)
	}
	var all []probe.Result
	for line := range bytes.Lines(lines.buf.Bytes()) {
		var r probe.Result
		if err := json.Unmarshal(line, &r); err != nil || r.Probe == "" {
			return nil, fmt.Errorf("the battery printed %.80q, which is no result", line)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, errors.New("the battery printed no result")
	}
	return all, nil
}

// bounded keeps the beginning of what is written to it. It is read when the writing is over.
type bounded struct {
	limit int
	buf   bytes.Buffer
	over  bool // there was more
}

// Write implements io.Writer and never fails.
func (b *bounded) Write(p []byte) (int, error) {
	fits := min(len(p), b.limit-b.buf.Len())
	b.over = b.over || fits < len(p)
	b.buf.Write(p[:fits])
	return len(p), nil
}
