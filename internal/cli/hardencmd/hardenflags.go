package hardencmd

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/lab"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/network"
)

// defaultUID is whom services run as: no system's own user, and below what useradd gives to people on none.
const defaultUID = 9000

const (
	hardenText = "text"
	hardenJSON = "json"
)

func hardenFormats() []string { return []string{hardenText, hardenJSON} }

// hardenOptions are the flags.
type hardenOptions struct {
	workshop *workshop

	file, target     string
	buildArgs, named []string
	network          string

	uid      uint32
	user     string
	gid      uint32 // with uid, what the two flags come to
	keepCaps []string
	ports    []string

	check, checkHost, exercise string
	checkTimeout, stopTimeout  time.Duration

	write         bool
	output        string
	format        string
	fresh, quiet  bool
	userIsChanged func() bool // both --uid and --user were given
}

func (o *hardenOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.file, "file", "f", "", "read the Dockerfile from `FILE` (default DIR/Dockerfile)")
	f.StringVar(&o.target, "target", "", "the `STAGE` of the Dockerfile that is the service (default: the last)")
	f.StringArrayVar(&o.buildArgs, "build-arg", nil, "the value of an ARG: `NAME=VALUE`, or NAME for the value it has in the environment")
	f.StringArrayVar(&o.named, "build-context", nil, "name another directory or image: `NAME=DIR|docker-image://REF`")
	f.StringVar(&o.network, "network", "", "network of RUN: `MODE` is default, host or none")

	f.Uint32Var(&o.uid, "uid", defaultUID, "the `UID` that the service is to run as; its gid is the same")
	f.StringVar(&o.user, "user", "", "the user and group it is to run as: `UID[:GID]`")
	f.StringSliceVar(&o.keepCaps, "keep-caps", nil, "`CAPABILITIES` it keeps without being asked: NET_RAW,…")
	f.StringSliceVarP(&o.ports, "port", "p", nil, "`PORTS` that checks need besides those the image exposes: 6379, 53/udp")

	f.StringVar(&o.check, "check", "", "the `COMMAND` in the container that succeeds when the service works")
	f.StringVar(&o.checkHost, "check-host", "", "the `COMMAND` on this machine that does")
	f.StringVar(&o.exercise, "exercise", "", "a `COMMAND` in the container that has the service do what the check does not")
	f.Var((*seconds)(&o.checkTimeout), "check-timeout", "how long the check may take to pass, and the exercise to end: `SECONDS` (default 30)")
	f.Var((*seconds)(&o.stopTimeout), "stop-timeout", "how long the service may take to stop before it is killed: `SECONDS` (default 10)")

	f.BoolVar(&o.write, "write", false, "change the Dockerfile, and write the rest to deckhand-proof beside it, or to --output")
	f.StringVarP(&o.output, "output", "o", "", "write the Dockerfile, the profile and the proof to `DIR`")
	f.StringVar(&o.format, "format", hardenText, "how the result is printed: `FORMAT` is text or json (the proof)")
	f.BoolVar(&o.fresh, "fresh", false, "make all trials again: forget what earlier runs found out")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress, only what came of it")
	o.userIsChanged = func() bool { return f.Changed("uid") && f.Changed("user") }
}

// seconds is a time as a flag: 90, 90s or 2m.
type seconds time.Duration

// String implements pflag.Value.
func (s *seconds) String() string {
	if *s == 0 {
		return "" // the default is the lab's
	}
	return time.Duration(*s).String()
}

// Type implements pflag.Value.
func (*seconds) Type() string { return "seconds" }

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, numErr := strconv.ParseUint(text, 10, 31); numErr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return errors.New("it must be a time: 90, 90s, 2m")
	}
	*s = seconds(d)
	return nil
}

// complete refuses values that do not exist and flags that contradict each other, and works out what others come to.
func (o *hardenOptions) complete() error {
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"format", o.format, hardenFormats()},
		{"network", o.network, []string{"default", "host", "none"}},
	} {
		if f.value != "" && !slices.Contains(f.known, f.value) {
			return fmt.Errorf("--%s %s: there are %s", f.name, f.value, strings.Join(f.known, ", "))
		}
	}
	for flag, values := range map[string][]string{"build-arg": o.buildArgs, "build-context": o.named} {
		for _, v := range values {
			if name, _, _ := strings.Cut(v, "="); name == "" {
				return fmt.Errorf("--%s %q has no name: write NAME=VALUE", flag, v)
			}
		}
	}
	for _, p := range o.ports {
		if _, err := network.ParsePorts(p); err != nil {
			return fmt.Errorf("--port: %w", err)
		}
	}
	return cmp.Or(o.completeUser(), o.completeCapabilities())
}

// completeUser takes the user apart.
func (o *hardenOptions) completeUser() error {
	if o.userIsChanged() {
		return errors.New("--uid and --user contradict each other: give one of them")
	}
	o.gid = o.uid
	if o.user != "" {
		u, g, both := strings.Cut(o.user, ":")
		uid, err := strconv.ParseUint(u, 10, 31)
		gid, gidErr := uid, error(nil)
		if both {
			gid, gidErr = strconv.ParseUint(g, 10, 31)
		}
		if err != nil || gidErr != nil {
			return fmt.Errorf("--user %s: it must be numbers, UID or UID:GID, as Kubernetes demands of who is not to be root", o.user)
		}
		o.uid, o.gid = uint32(uid), uint32(gid)
	}
	switch {
	case o.uid == 0:
		return errors.New("uid 0 is root: name another, or none for 9000")
	case o.gid == 0:
		return errors.New("gid 0 is root's group, to whom many files belong: name another, or none for that of the uid's number")
	case o.uid > 1<<31-1:
		return fmt.Errorf("--uid %d: there are uids up to %d", o.uid, 1<<31-1)
	}
	return nil
}

// completeCapabilities gives them their full names.
func (o *hardenOptions) completeCapabilities() error {
	all := caps.All()
	for i, name := range o.keepCaps {
		n, err := caps.Number(strings.TrimSpace(name))
		if err != nil {
			return fmt.Errorf("--keep-caps: %w", err)
		}
		o.keepCaps[i] = all[n]
	}
	slices.Sort(o.keepCaps)
	o.keepCaps = slices.Compact(o.keepCaps)
	return nil
}

// capabilityNames are the names as people write them.
func capabilityNames() []string {
	all := caps.All()
	for i := range all {
		all[i] = strings.TrimPrefix(all[i], "CAP_")
	}
	return all
}

// labOptions are the laboratory's for a subject.
func (o *hardenOptions) labOptions(e *engine.Engine, s *subject) lab.Options {
	var flags []string
	if o.network != "" {
		flags = append(flags, "--network", o.network)
	}
	for _, named := range o.named {
		flags = append(flags, "--build-context", named)
	}
	return lab.Options{
		Engine: e, Context: s.context, Dockerfile: s.file, Target: o.target, BuildArgs: o.buildArgs, BuildFlags: flags,
		Check: o.check, CheckHost: o.checkHost, Exercise: o.exercise,
		CheckTimeout: o.checkTimeout, StopTimeout: o.stopTimeout, Ports: o.ports,
	}
}

// options are those of the work on a subject, but for what it works with.
func (o *hardenOptions) options(s *subject) harden.Options {
	return harden.Options{
		Source: s.source, Name: s.name, Dockerfile: s.dockerfile, Target: o.target, BuildArgs: guard.BuildArgs(o.buildArgs, os.LookupEnv),
		UID: o.uid, GID: o.gid, Keep: o.keepCaps,
		Checks: harden.Checks{Check: o.check, CheckHost: o.checkHost, Exercise: o.exercise, From: o.checkFrom()},
	}
}

// checkFrom says what the check is where the flags decide; else it is up to the image.
func (o *hardenOptions) checkFrom() string {
	switch {
	case o.check != "" && o.checkHost != "":
		return "--check and --check-host"
	case o.check != "":
		return "--check"
	case o.checkHost != "":
		return "--check-host"
	}
	return ""
}
