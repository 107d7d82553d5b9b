package harden

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// Run hardens a service. The error is a *BuildError, a *BaselineError or an *UnprovenError where the service is at
// fault. Privileges that it cannot do without are in the proof's profile.
func Run(ctx context.Context, o Options) (*proof.Proof, error) {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of the clock that callers pass
	}
	s := &session{o: &o, built: map[string]string{}, made: map[string]*Outcome{}, without: map[string]string{}, deciding: deciding()}
	s.times.began = o.Now()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	c, err := s.mend(ctx)
	if err != nil {
		return nil, err
	}
	if c, err = s.minimise(ctx, c); err != nil {
		return nil, err
	}
	learned, err := s.learn(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.prove(ctx, learned)
}

// begin builds the image as it is, sees that the service works, and watches what it does.
func (s *session) begin(ctx context.Context) (err error) {
	if s.original, err = s.build(ctx, string(s.o.Dockerfile)); err != nil {
		return err
	}
	if s.image, err = s.o.Lab.Image(ctx, s.original); err != nil {
		return err
	}
	files := readAhead(ctx, s.image) // while the service is waited for
	if s.plain, err = s.baseline(ctx, "as it is", false); err == nil {
		s.asRoot, err = s.baseline(ctx, "as it is, watched", true)
	}
	var readErr error
	if s.files, readErr = files(); err == nil {
		err = readErr
	}
	if err != nil {
		return err
	}
	_, hasShell := s.files.stat(s.files.resolve("/bin/sh", true))
	config := &s.image.Config.Config
	s.edit = repair.Options{
		Target: s.o.Target, BuildArgs: s.o.BuildArgs, BaseUser: config.User,
		NoShell: !hasShell, NoEntrypoint: len(config.Entrypoint) == 0,
	}
	return s.publish(ctx)
}

// readAhead begins to read an image's files, and returns what waits for them.
func readAhead(ctx context.Context, img *guard.Image) func() (*tree, error) {
	var t *tree
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		t, err = readTree(ctx, img)
	}()
	return func() (*tree, error) {
		<-done
		return t, err
	}
}

// baseline runs the service as it is: a failure is the end.
func (s *session) baseline(ctx context.Context, title string, watched bool) (*Outcome, error) {
	t := test{phase: Baseline, title: title}
	if watched {
		t.phase = Watching
	}
	key, err := digestOf(s.original, watched, s.o.Checks, s.ports)
	if err != nil {
		return nil, err
	}
	if out := s.recall(key); out != nil && out.Passed {
		s.ended(t, out)
		return out, nil
	}
	s.tell(Event{Phase: t.phase, Title: title})
	out, err := s.run(ctx, Trial{Title: title, Image: s.original, Observe: watched})
	if err != nil {
		return nil, err
	}
	s.ended(t, out)
	if !out.Passed {
		return nil, &BaselineError{*out}
	}
	s.keep(key, out)
	return out, nil
}

// publish has the ports checked that the service was seen to listen on, where nobody said how to check it and the
// image exposes none. Then it has to pass that as root, too.
func (s *session) publish(ctx context.Context) (err error) {
	hc := s.image.Config.Config.Healthcheck
	if s.o.Checks.Check != "" || s.o.Checks.CheckHost != "" || len(s.image.Config.Config.ExposedPorts) > 0 ||
		hc != nil && len(hc.Test) > 1 {
		return nil
	}
	ports := listened(s.asRoot.Record)
	if len(ports) == 0 {
		return nil
	}
	s.note(Watching, "it listens on %s: that is the check from here on", strings.Join(ports, ", "))
	if err := s.o.Lab.SetPorts(ports); err != nil {
		return err
	}
	s.ports = ports
	s.plain, err = s.baseline(ctx, "as it is, with its ports checked", false)
	return err
}

// listened are the ports that others can reach: "6379/tcp".
func listened(r *observe.Record) []string {
	const ephemeral = 32768
	var ports []string
	for _, c := range r.Calls {
		kind, isNet := strings.CutPrefix(c.Socket, "inet6/")
		if !isNet {
			kind, isNet = strings.CutPrefix(c.Socket, "inet/")
		}
		port := portOf(c.Address)
		if c.Syscall != "bind" || c.Errno != 0 || !isNet || port == 0 || port >= ephemeral || isLoopback(c.Address) {
			continue
		}
		name := strconv.Itoa(port) + "/udp"
		if strings.HasPrefix(kind, "stream") {
			name = strconv.Itoa(port) + "/tcp"
		}
		if !slices.Contains(ports, name) {
			ports = append(ports, name)
		}
	}
	slices.Sort(ports)
	return ports
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// prove runs the battery before and after, and puts the proof together.
func (s *session) prove(ctx context.Context, l *lesson) (*proof.Proof, error) {
	began := s.o.Now()
	user := s.image.Config.Config.User
	if user == "" {
		user = "root"
	}
	before, err := s.battery(ctx, s.original, probe.Setting{Title: "as it is (" + user + ")"})
	if err != nil {
		return nil, err
	}
	after, err := s.after(ctx, l.candidate)
	if err != nil {
		return nil, err
	}
	s.times.probe = s.o.Now().Sub(began)
	text, err := s.dockerfile(l.candidate, true)
	if err != nil {
		return nil, err
	}
	checks := s.checks()
	return &proof.Proof{
		Version: proof.Version, Source: s.o.Source, Name: s.o.Name, Dockerfile: string(text), Profile: *s.finished(l.candidate),
		Repairs: ordered(l.candidate.repairs), Syscalls: l.candidate.syscalls, Refused: l.refused, Tolerated: l.tolerated,
		Check: checks.Check, CheckHost: checks.CheckHost, CheckFrom: checks.From, Exercise: checks.Exercise,
		Trials: s.trials, Before: before, After: after, Times: s.seconds(), Finished: s.o.Now(),
	}, nil
}

// after runs the battery in the hardened image.
func (s *session) after(ctx context.Context, c candidate) (*probe.Column, error) {
	text, err := s.dockerfile(c, false)
	if err != nil {
		return nil, err
	}
	image, err := s.build(ctx, string(text))
	if err != nil {
		return nil, err
	}
	filter, err := s.filterOf(c)
	if err != nil {
		return nil, err
	}
	return s.battery(ctx, image, probe.Setting{Title: "hardened", Profile: s.profile(c), Seccomp: filter})
}

func (s *session) battery(ctx context.Context, image string, setting probe.Setting) (*probe.Column, error) {
	s.tell(Event{Phase: Probing, Title: setting.Title})
	column, err := s.o.Lab.Probe(ctx, image, setting)
	if err != nil {
		return nil, fmt.Errorf("run the battery %s: %w", setting.Title, err)
	}
	tally := column.Tally()
	s.note(Probing, "%s: %d of %d probes allowed", setting.Title, tally.Allowed, tally.Probes)
	return column, nil
}

// finished is the profile that is written.
func (s *session) finished(c candidate) *profile.Profile {
	p := s.profile(c)
	p.Ports = union(slices.Clone(s.ports), nil)
	for port := range s.image.Config.Config.ExposedPorts {
		p.Ports = union(p.Ports, []string{withProtocol(port)})
	}
	p.Irreducible = s.irreducible(c)
	if c.syscalls != nil {
		p.Seccomp = proof.SeccompName
	}
	return p
}

func withProtocol(port string) string {
	if strings.Contains(port, "/") {
		return port
	}
	return port + "/tcp"
}

// checks are those of the options, or what the lab does without.
func (s *session) checks() Checks {
	c := s.o.Checks
	if c.From != "" {
		return c
	}
	hc := s.image.Config.Config.Healthcheck
	ports := s.finished(candidate{}).Ports
	switch {
	case c.CheckHost != "":
		c.From = "--check-host"
	case c.Check != "":
		c.From = "--check"
	case hc != nil && len(hc.Test) > 1:
		c.From, c.Check = "HEALTHCHECK", strings.Join(hc.Test[1:], " ")
	case len(ports) > 0:
		c.From = "a connection to " + strings.Join(ports, ", ")
	default:
		c.From = "that it keeps running"
	}
	return c
}

// seconds are the times of the proof.
func (s *session) seconds() map[string]float64 {
	t := &s.times
	return map[string]float64{
		"total": s.o.Now().Sub(t.began).Seconds(), "service": t.service.Seconds(), "engine": (t.trials - t.service).Seconds(),
		"build": t.build.Seconds(), "probe": t.probe.Seconds(),
		"unobserved": s.plain.Ready.Seconds(), "observe": s.asRoot.Ready.Seconds(),
	}
}
