package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	longPatience = time.Minute            // for a check to pass
	pause        = 100 * time.Millisecond // between two checks
)

// unwell is a service that does not work: it could not be started, it ended, or its check or its exercise failed.
type unwell struct{ err error }

// Error says what was wrong with it.
func (u *unwell) Error() string { return u.err.Error() }

// Unwrap gives the cause.
func (u *unwell) Unwrap() error { return u.err }

// container is a running service.
type container struct {
	lab     *lab
	service *service
	name    string
}

// played is how long things took.
type played struct {
	ready [2]time.Duration // from the start to the check's success
	stop  time.Duration
}

// plain builds the service and plays it as root, as docker would run it. The result is a line about it.
func (l *lab) plain(ctx context.Context, s *service, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := now()
	if err := l.buildImage(ctx, s, s.dir+"/Dockerfile", s.image()); err != nil {
		return "", err
	}
	built := since(began)
	p, err := l.play(ctx, s, s.image(), []string{"-u", "root"}, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("ok: built in %.1f s, ready after %.2f s, stopped in %.1f s, ready again after %.2f s",
		built.Seconds(), p.ready[0].Seconds(), p.stop.Seconds(), p.ready[1].Seconds()), nil
}

// play runs the image with flags of run, has its check pass, exercises it, restarts it and has the check pass again.
// Where look is not nil it is called with the container's first process after each check.
func (l *lab) play(ctx context.Context, s *service, image string, flags []string, look func(pid int) error) (p *played, err error) {
	c := &container{l, s, "bench-harden-" + s.name}
	ports, err := l.exposed(ctx, image)
	if err != nil {
		return nil, err
	}
	args := append([]string{"deckhand", "run", "-d", "--name", c.name}, flags...)
	for _, port := range ports {
		args = append(args, "-p", "127.0.0.1::"+port)
	}
	c.remove(ctx) // of a run that was killed
	defer c.remove(ctx)
	p = &played{}
	began := now()
	if err := c.begin(ctx, append(args, image)...); err != nil {
		return nil, err
	}
	if err := c.pass(ctx, 1, look); err != nil {
		return nil, err
	}
	p.ready[0] = since(began)
	if err := c.exercise(ctx); err != nil {
		return nil, &unwell{fmt.Errorf("exercise: %w", err)}
	}
	began = now()
	if _, err := l.do(ctx, "deckhand", "stop", c.name); err != nil {
		return nil, err
	}
	p.stop = since(began)
	began = now()
	if err := c.begin(ctx, "deckhand", "start", c.name); err != nil {
		return nil, err
	}
	if err := c.pass(ctx, 2, look); err != nil {
		return nil, err
	}
	p.ready[1] = since(began)
	return p, nil
}

// exposed are the ports that the image exposes: "53/udp".
func (l *lab) exposed(ctx context.Context, image string) ([]string, error) {
	i, err := l.inspect(ctx, image)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(i.Config.ExposedPorts)), nil
}

// begin starts the container by a command. The error is *unwell where deckhand did its part, and there is nothing that
// could be executed.
func (c *container) begin(ctx context.Context, args ...string) error {
	const notExecutable, notFound = 126, 127
	_, err := c.lab.do(ctx, args...)
	if ended, ok := errors.AsType[*commandError](err); ok && (ended.code == notExecutable || ended.code == notFound) {
		return &unwell{err}
	}
	return err
}

// pass waits until the check of the round passes. The error is *unwell where it does not.
func (c *container) pass(ctx context.Context, round int, look func(pid int) error) error {
	limited, cancel := context.WithTimeout(ctx, cmp.Or(c.lab.patience, longPatience))
	defer cancel()
	var failed error // of the last attempt that was not cut short
	for {
		i, err := c.lab.inspect(ctx, c.name)
		if err != nil {
			return err
		}
		if i.State.Pid == 0 {
			return &unwell{fmt.Errorf("round %d: the service ended\n%s", round, c.logs(ctx))}
		}
		_, err = c.lab.doWith(limited, checkEnvironment(i, c.name, round), c.service.check())
		if err == nil && look != nil {
			return look(i.State.Pid)
		}
		if err == nil {
			return nil
		}
		if limited.Err() == nil || failed == nil {
			failed = err
		}
		select {
		case <-limited.Done():
			return &unwell{fmt.Errorf("round %d: the check did not pass: %w\n%s", round, failed, c.logs(ctx))}
		case <-time.After(pause):
		}
	}
}

// exercise runs the service's exercise in the container, as its user.
func (c *container) exercise(ctx context.Context) error {
	if c.service.exercise == "" {
		return nil
	}
	_, err := c.lab.do(ctx, "deckhand", "exec", c.name, "sh", "-c", c.service.exercise)
	return err
}

// checkEnvironment are the variables that a check gets.
func checkEnvironment(i *inspected, name string, round int) []string {
	environ := []string{"DECKHAND_HOST=127.0.0.1", "DECKHAND_CONTAINER=" + name, "DECKHAND_ROUND=" + strconv.Itoa(round)}
	for port, hosts := range i.NetworkSettings.Ports {
		if len(hosts) == 0 {
			continue
		}
		number, protocol, _ := strings.Cut(port, "/")
		if protocol == "udp" {
			number += "_UDP"
		}
		environ = append(environ, "DECKHAND_PORT_"+number+"="+hosts[0].HostPort)
	}
	return environ
}

// logs is the end of what the service printed.
func (c *container) logs(ctx context.Context) string {
	out, err := c.lab.do(ctx, "sh", "-c", `exec deckhand logs "$1" 2>&1`, "sh", c.name)
	if err != nil {
		return ""
	}
	return "it printed:\n" + lastLines(out, 8)
}

// remove removes the container, also when the context is at its end.
func (c *container) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if _, err := c.lab.do(ctx, "deckhand", "rm", "-f", c.name); err != nil {
		c.lab.say("%s: %v", c.service.name, err)
	}
}

// now is the time.
func now() time.Time { return time.Now() } //nolint:forbidigo // measuring time is the purpose

func since(began time.Time) time.Duration { return now().Sub(began) }
