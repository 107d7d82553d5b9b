package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// check is one way to see whether a service works.
type check func(ctx context.Context, s *service, round int) result

// attemptLimit is how long one attempt may take, where the image does not say. A check that hangs is tried again.
const attemptLimit = 10 * time.Second

// deathTime is how long a service may take to be known to have ended, after a process could not enter it any more.
const deathTime = time.Second

// Attempts follow each other slower and slower.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// checksFor are the checks of an image's service; all have to pass.
func (t *trial) checksFor(img *store.Image) []check {
	var checks []check
	o := &t.lab.o
	if o.Check != "" {
		checks = append(checks, t.commandCheck(o.Check))
	}
	if o.CheckHost != "" {
		checks = append(checks, t.hostCheck)
	}
	if len(checks) > 0 {
		return checks
	}
	if args, limit := healthcheck(img); len(args) > 0 && !o.NoHealthcheck {
		return []check{t.healthCheck(args, limit)}
	}
	for _, p := range t.ports {
		if p.Protocol == "tcp" {
			checks = append(checks, portCheck(p.ContainerPort))
		}
	}
	// A port may be open before those who are to serve it have failed.
	return append(checks, t.settles)
}

// commandCheck runs a user's command in the container. It has the filter that is the default one, not the service's:
// the service need not be allowed what its check does.
func (t *trial) commandCheck(text string) check {
	return func(ctx context.Context, s *service, _ int) result {
		return t.execute(ctx, s, text, min(attemptLimit, t.patience))
	}
}

// execute runs a user's command in the container.
func (t *trial) execute(ctx context.Context, s *service, text string, limit time.Duration) result {
	filter, err := seccomp.Default(t.settings.granted)
	if err != nil {
		return result{err: err}
	}
	o := engine.ExecOptions{Args: argv(text), Seccomp: filter}
	x := &execution{service: s, limit: limit, start: inContainer(t.lab.o.Engine, t.container, o)}
	return x.run(ctx)
}

// healthcheck is the image's HEALTHCHECK.
func healthcheck(img *store.Image) (args []string, limit time.Duration) {
	hc := img.Config.Config.Healthcheck
	if hc == nil || len(hc.Test) < 2 {
		return nil, 0
	}
	limit = attemptLimit
	if hc.Timeout > 0 {
		limit = hc.Timeout
	}
	switch hc.Test[0] {
	case "CMD":
		return hc.Test[1:], limit
	case "CMD-SHELL":
		sh := img.Config.Config.Shell
		if len(sh) == 0 {
			sh = []string{shell, "-c"}
		}
		return append(slices.Clone(sh), hc.Test[1]), limit
	}
	return nil, 0
}

// healthCheck runs the image's HEALTHCHECK, which is a part of the service: it has the same filter, and is watched too.
func (t *trial) healthCheck(args []string, limit time.Duration) check {
	return func(ctx context.Context, s *service, _ int) result {
		o := engine.ExecOptions{Args: args}
		if t.tracer != nil {
			o.Attach, o.Seccomp = t.tracer.Attach, t.container.Filter
		}
		x := &execution{service: s, limit: limit, start: inContainer(t.lab.o.Engine, t.container, o)}
		return x.run(ctx)
	}
}

// hostCheck runs the user's command on the host.
func (t *trial) hostCheck(ctx context.Context, s *service, round int) result {
	env := t.lab.hostEnvironment(t.container, s, round)
	x := &execution{service: s, limit: min(attemptLimit, t.patience), start: onHost(t.lab.o.CheckHost, env)}
	return x.run(ctx)
}

// hostEnvironment tells a check on the host about the container.
func (l *Lab) hostEnvironment(c *engine.Container, s *service, round int) []string {
	env := slices.DeleteFunc(slices.Clone(l.o.Env), func(e string) bool {
		return strings.HasPrefix(e, portVariable) || strings.HasPrefix(e, "DECKHAND_IP=")
	})
	env = append(env, portEnvironment(s.ports)...)
	env = append(
		env, "DECKHAND_HOST="+loopback().String(), "DECKHAND_CONTAINER="+c.Record.ID,
		fmt.Sprintf("DECKHAND_ROUND=%d", round), "DECKHAND_DATA_ROOT="+l.o.Engine.Store.Root(),
	)
	if s.address.IsValid() {
		env = append(env, "DECKHAND_IP="+s.address.String())
	}
	if l.o.Programs.Deckhand != "" {
		env = append(env, "PATH="+filepath.Dir(l.o.Programs.Deckhand)+":"+pathOf(l.o.Env))
	}
	return env
}

// pathOf is the last PATH of an environment.
func pathOf(env []string) string {
	for _, e := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			return v
		}
	}
	return oci.DefaultPath
}

// portCheck passes when a TCP port accepts connections. Where the host cannot reach the container's own address, a
// published port proves nothing: the program that forwards it accepts everything. Then the kernel is asked.
func portCheck(port uint16) check {
	return func(ctx context.Context, s *service, _ int) result {
		failed := result{reason: fmt.Sprintf("found that port %d does not accept connections", port)}
		if !s.address.IsValid() {
			failed.passed = s.listens(port)
			return failed
		}
		d := net.Dialer{Timeout: time.Second}
		conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(s.address, port).String())
		if err != nil {
			return failed
		}
		_ = conn.Close() // nothing was written
		return result{passed: true}
	}
}

// settles passes when the service has been running for a while.
func (t *trial) settles(ctx context.Context, s *service, _ int) result {
	if !survives(ctx, s, t.lab.o.Settle) {
		return result{reason: "was interrupted"}
	}
	return result{passed: true}
}

// survives waits, and reports whether the service still runs then.
func survives(ctx context.Context, s *service, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-ctx.Done():
	case <-timer.C:
		return true
	}
	return false
}

// await tries the checks until all have passed, the service has ended or patience has. The empty reason is success.
func (t *trial) await(ctx context.Context, s *service, round int) result {
	waiting, cancel := context.WithTimeout(ctx, t.patienceOf(round))
	defer cancel()
	for _, c := range t.checks {
		if res := t.repeat(waiting, c, s, round); !res.passed {
			return res
		}
	}
	return result{passed: true}
}

func (t *trial) repeat(ctx context.Context, c check, s *service, round int) result {
	var last result // of an attempt that was not cut short
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		res := c(ctx, s, round)
		switch {
		case res.err != nil && survives(ctx, s, deathTime):
			return res
		case res.final:
			res.reason = "the check " + res.reason
			return res
		case res.passed && !s.hasExited():
			return res
		}
		if ctx.Err() == nil || last.reason == "" {
			last = res
		}
		if survives(ctx, s, pause) {
			continue
		}
		if s.hasExited() {
			return result{reason: s.epitaph(), output: res.output}
		}
		last.reason = fmt.Sprintf("the check did not pass within %.1f s: it %s", t.patienceOf(round).Seconds(), last.reason)
		return last
	}
}
