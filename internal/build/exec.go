package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/solver/pb"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/oci"
)

const (
	defaultPath     = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultHostname = "buildkitsandbox" // docker's; some scripts look at it
)

// ExitError is a RUN step whose command ended with another code than 0.
type ExitError struct {
	Args []string
	Code int
}

// Error is BuildKit's wording.
func (e *ExitError) Error() string {
	return fmt.Sprintf("process %q did not complete successfully: exit code: %d", strings.Join(e.Args, " "), e.Code)
}

// checkExec refuses what is not there yet.
func checkExec(e *pb.ExecOp) error {
	if e.Security == pb.SecurityMode_INSECURE {
		return errors.New("RUN --security=insecure is not there: a step of a build gets no more than Docker's default capabilities")
	}
	if len(e.CdiDevices) > 0 {
		return errors.New("RUN --device is not there yet")
	}
	if len(e.Secretenv) > 0 {
		return errors.New("RUN --mount=type=secret is not there yet")
	}
	for _, m := range e.Mounts {
		switch m.MountType {
		case pb.MountType_SECRET:
			return errors.New("RUN --mount=type=secret is not there yet")
		case pb.MountType_SSH:
			return errors.New("RUN --mount=type=ssh is not there yet")
		case pb.MountType_BIND, pb.MountType_CACHE, pb.MountType_TMPFS:
		}
	}
	return nil
}

// exec runs a RUN step and commits what it wrote.
func (s *solver) exec(ctx context.Context, e *pb.ExecOp, ins []input, p Step) (_ []*snapshot, err error) {
	if err := checkExec(e); err != nil {
		return nil, err
	}
	x := &execution{s: s, e: e, outputs: map[int64]*active{}}
	defer func() { x.release() }()
	if err := x.prepare(ctx, ins); err != nil {
		return nil, err
	}
	if err := x.run(ctx, p); err != nil {
		return nil, err
	}
	return x.commit(ctx)
}

// execution is one RUN step under way.
type execution struct {
	s       *solver
	e       *pb.ExecOp
	root    *active
	mounts  []specs.Mount
	outputs map[int64]*active
	undo    []func()
}

func (x *execution) onRelease(f func()) { x.undo = append(x.undo, f) }

func (x *execution) release() {
	for _, f := range slices.Backward(x.undo) {
		f()
	}
	x.undo = nil
}

// prepare makes the root and everything that is mounted in it.
func (x *execution) prepare(ctx context.Context, ins []input) error {
	ms := slices.Clone(x.e.Mounts)
	slices.SortStableFunc(ms, func(a, b *pb.Mount) int { return strings.Compare(a.Dest, b.Dest) })
	for _, m := range ms {
		in := &snapshot{}
		if m.Input >= 0 {
			in = ins[m.Input].snap
		}
		var err error
		switch {
		case m.Dest == pb.RootMount:
			err = x.addRoot(ctx, in, m.Output)
		case m.MountType == pb.MountType_BIND:
			err = x.addBind(ctx, m, in)
		case m.MountType == pb.MountType_TMPFS:
			x.addTmpfs(m)
		case m.MountType == pb.MountType_CACHE:
			continue // below: their locks are taken in one order
		default:
			err = fmt.Errorf("mount type %s is not there yet", m.MountType)
		}
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Dest, err)
		}
	}
	return x.addCaches(ctx, ms, ins)
}

// addRoot makes the layer the step writes to. The engine mounts it: idmapped, for the container's own ids.
func (x *execution) addRoot(ctx context.Context, in *snapshot, output int64) error {
	if in.tree != nil {
		return errLocalRoot
	}
	a, err := x.s.stage.newLayer(ctx, in)
	if err != nil {
		return err
	}
	x.onRelease(a.abort)
	x.root = a
	if output >= 0 {
		x.outputs[output] = a
	}
	return nil
}

func (x *execution) addTmpfs(m *pb.Mount) {
	opts := []string{"nosuid", "nodev", "mode=1777"}
	if n := m.GetTmpfsOpt().GetSize(); n > 0 {
		opts = append(opts, fmt.Sprintf("size=%d", n))
	}
	x.mounts = append(x.mounts, specs.Mount{Destination: m.Dest, Type: "tmpfs", Source: "tmpfs", Options: opts})
}

func bind(source, dest string, readonly bool) specs.Mount {
	opts := []string{"bind", "rprivate", "idmap"}
	if readonly {
		opts = append(opts, "ro")
	}
	return specs.Mount{Destination: dest, Type: "bind", Source: source, Options: opts}
}

// run starts the command and waits for its end.
func (x *execution) run(ctx context.Context, p Step) error {
	sb, net, err := x.sandbox(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = net.Release(context.WithoutCancel(ctx)) }() // swept by the next command at the latest
	out, wait, err := logPipe(p)
	if err != nil {
		return err
	}
	sb.Stdio = runtime.Stdio{Out: out, Err: out}
	r, err := x.s.b.Engine.Start(ctx, sb)
	_ = out.Close() // the container has its own
	if err != nil {
		wait()
		return x.startError(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.Signal(unix.SIGKILL) }) // or it has ended already
	defer stop()
	exit, err := r.Wait(ctx)
	wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("run %s: %w", strings.Join(x.e.Meta.Args, " "), err)
	case exit.Code != 0 && !slices.Contains(x.e.Meta.ValidExitCodes, int32(exit.Code)): //nolint:gosec // below 256
		return &ExitError{Args: x.e.Meta.Args, Code: exit.Code}
	}
	return nil
}

func (x *execution) startError(err error) error {
	if cmd, ok := errors.AsType[*runtime.CommandError](err); ok {
		return fmt.Errorf("process %q did not start: %w (exit code: %d)", strings.Join(x.e.Meta.Args, " "), err, cmd.Code)
	}
	return err
}

// sandbox describes the container of the step; root is allowed in it, for it is root of its own user namespace.
func (x *execution) sandbox(ctx context.Context) (*engine.Sandbox, *network.Network, error) {
	id := engine.NewID()
	host := cmpOr(x.e.Meta.Hostname, defaultHostname)
	mode := x.s.networkMode(x.e.Network)
	net, err := network.New(ctx, network.Options{ID: id, Mode: mode, Hostname: host, Rootless: x.s.b.Rootless})
	if err != nil {
		return nil, nil, err
	}
	files, err := x.files(net, host)
	if err != nil {
		return nil, nil, errors.Join(err, net.Release(context.WithoutCancel(ctx)))
	}
	sb := &engine.Sandbox{
		ID: id, Lower: x.s.stage.dirs(x.root.base.Layers),
		UpperBase: x.root.layer.Base, Upper: x.root.layer.Dir, Work: x.root.layer.Work,
		Volatile: true, // a layer counts as lost in a crash anyway, unless it was synced as a whole
		User:     x.e.Meta.User,
		Options: oci.SpecOptions{
			Args: x.e.Meta.Args, Env: execEnv(x.e.Meta), Cwd: cmpOr(x.e.Meta.Cwd, "/"), Hostname: host,
			HostNetwork: mode == network.Host, Mounts: append(files, x.mounts...),
		},
	}
	if mode != network.Host && mode != network.None {
		sb.Network = net
	}
	return sb, net, nil
}

func (s *solver) networkMode(m pb.NetMode) network.Mode {
	switch {
	case m == pb.NetMode_HOST:
		return network.Host
	case m == pb.NetMode_NONE:
		return network.None
	case s.b.Rootless:
		return network.Pasta
	}
	return network.Bridge
}

// files are the step's own hosts, hostname and resolv.conf.
func (x *execution) files(net *network.Network, host string) ([]specs.Mount, error) {
	dir, err := x.s.stage.newDir("etc-")
	if err != nil {
		return nil, err
	}
	hosts := net.Hosts()
	for _, h := range x.e.Meta.ExtraHosts {
		hosts = fmt.Appendf(hosts, "%s\t%s\n", h.IP, h.Host)
	}
	var out []specs.Mount
	for _, f := range []struct {
		name string
		data []byte
	}{{"hosts", hosts}, {"hostname", []byte(host + "\n")}, {"resolv.conf", net.ResolvConf()}} {
		p := filepath.Join(dir, f.name)
		if err := os.WriteFile(p, f.data, 0o644); err != nil { //nolint:gosec // every user of the container reads it
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		out = append(out, bind(p, "/etc/"+f.name, false))
	}
	return out, nil
}

// execEnv is the environment of the step: the proxies and the default PATH are no part of its key.
func execEnv(m *pb.Meta) []string {
	env := slices.Clone(m.Env)
	if pr := m.ProxyEnv; pr != nil {
		for _, kv := range [][2]string{
			{"HTTP_PROXY", pr.HttpProxy},
			{"HTTPS_PROXY", pr.HttpsProxy},
			{"FTP_PROXY", pr.FtpProxy},
			{"NO_PROXY", pr.NoProxy},
			{"ALL_PROXY", pr.AllProxy},
		} {
			if kv[1] != "" {
				env = append(env, kv[0]+"="+kv[1], strings.ToLower(kv[0])+"="+kv[1])
			}
		}
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append(env, defaultPath)
	}
	return env
}

// logPipe passes what is written to w to the step; wait returns when every writer has closed it.
func logPipe(p Step) (w *os.File, wait func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(logWriter{p}, r) // a broken pipe ends the log, not the step
		_ = r.Close()
	})
	return w, wg.Wait, nil
}

type logWriter struct{ p Step }

// Write logs b.
func (w logWriter) Write(b []byte) (int, error) {
	w.p.Log(b)
	return len(b), nil
}

// commit removes what only mounting has made and publishes the outputs.
func (x *execution) commit(ctx context.Context) ([]*snapshot, error) {
	if err := x.removeStubs(); err != nil {
		return nil, err
	}
	out := make([]*snapshot, len(x.outputs))
	for i, a := range x.outputs {
		if int(i) >= len(out) {
			return nil, fmt.Errorf("invalid exec: output %d of %d", i, len(out))
		}
		sn, err := a.commit(ctx)
		if err != nil {
			return nil, err
		}
		out[i] = sn
	}
	return out, nil
}
