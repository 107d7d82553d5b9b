package cli

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/oci"
)

// processOptions are the flags of run about the process itself and what it is given.
type processOptions struct {
	privileged  bool
	ulimits     []string
	devices     []string
	shm         byteSize
	oomScoreAdj int
}

func (o *processOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.privileged, "privileged", false, "give every capability in the container's own namespaces, what every user of the host may open of its devices, and no seccomp filter")
	f.StringArrayVar(&o.devices, "device", nil, "add a host `device`, HOST[:CONTAINER[:rwm]]")
	f.StringArrayVar(&o.ulimits, "ulimit", nil, "`limit` of a resource, NAME=SOFT[:HARD]; -1: unlimited")
	f.Var(&o.shm, "shm-size", "size of /dev/shm, in `bytes` (or 64m, 2g)")
	f.IntVar(&o.oomScoreAdj, "oom-score-adj", 0, "tune the host's OOM `preference`, -1000 to 1000")
}

// apply adds them to the container's configuration.
func (o *processOptions) apply(cfg *engine.Config) error {
	s := &cfg.Spec
	s.ShmBytes = int64(o.shm)
	if i := slices.IndexFunc(s.CapDrop, func(c string) bool { return strings.EqualFold(c, "ALL") || strings.EqualFold(c, "CAP_ALL") }); o.privileged && i >= 0 {
		return fmt.Errorf("--cap-drop %s contradicts --privileged, which grants all capabilities", s.CapDrop[i])
	}
	if o.oomScoreAdj < -1000 || o.oomScoreAdj > 1000 {
		return fmt.Errorf("Invalid value %d, range for oom score adj is [-1000, 1000]", o.oomScoreAdj) //nolint:staticcheck // docker's words
	}
	if o.oomScoreAdj != 0 {
		s.OOMScoreAdj = &o.oomScoreAdj
	}
	for _, u := range o.ulimits {
		l, err := parseUlimit(u)
		if err != nil {
			return err
		}
		s.Rlimits = slices.DeleteFunc(s.Rlimits, func(have specs.POSIXRlimit) bool { return have.Type == l.Type })
		s.Rlimits = append(s.Rlimits, l)
	}
	for _, d := range o.devices {
		dev, err := parseDevice(d)
		if err != nil {
			return err
		}
		cfg.Devices = append(cfg.Devices, dev)
	}
	return nil
}

// parseUlimit reads NAME=SOFT[:HARD], as docker does.
func parseUlimit(s string) (specs.POSIXRlimit, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return specs.POSIXRlimit{}, hint.With(fmt.Errorf("invalid ulimit argument: %s", s), "as in:  --ulimit nofile=1024:2048")
	}
	if !slices.ContainsFunc(engine.Ulimits(), func(u engine.Ulimit) bool { return u.Name == name }) {
		return specs.POSIXRlimit{}, hint.With(fmt.Errorf("invalid ulimit type: %s", name), "one of:  "+ulimitNames())
	}
	softText, hardText, two := strings.Cut(value, ":")
	if strings.Contains(hardText, ":") {
		return specs.POSIXRlimit{}, fmt.Errorf("too many limit value arguments - %s, can only have up to two, `soft[:hard]`", value)
	}
	soft, err := parseLimit(softText)
	if err != nil {
		return specs.POSIXRlimit{}, fmt.Errorf("invalid ulimit %s: %w", s, err)
	}
	hard := soft
	if two {
		if hard, err = parseLimit(hardText); err != nil {
			return specs.POSIXRlimit{}, fmt.Errorf("invalid ulimit %s: %w", s, err)
		}
	}
	if soft > hard {
		return specs.POSIXRlimit{}, fmt.Errorf("ulimit soft limit must be less than or equal to hard limit: %s > %s", softText, hardText)
	}
	return specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name), Soft: soft, Hard: hard}, nil
}

func ulimitNames() string {
	var names []string
	for _, u := range engine.Ulimits() {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

// parseLimit reads a number, or -1 for none.
func parseLimit(s string) (uint64, error) {
	if s == "-1" {
		return math.MaxUint64, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number nor -1", s)
	}
	return n, nil
}

// parseDevice reads HOST[:CONTAINER[:rwm]] or HOST:rwm, as docker does.
func parseDevice(s string) (engine.Device, error) {
	parts := strings.Split(s, ":")
	d := engine.Device{PathOnHost: parts[0], PathInContainer: parts[0], Access: "rwm"}
	switch {
	case len(parts) > 3:
		return d, fmt.Errorf("invalid device specification: %s", s)
	case len(parts) == 3:
		d.PathInContainer, d.Access = parts[1], parts[2]
	case len(parts) == 2 && deviceAccess(parts[1]):
		d.Access = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	if !deviceAccess(d.Access) {
		return d, fmt.Errorf("invalid device mode: %s", d.Access)
	}
	if !path.IsAbs(d.PathOnHost) && strings.Contains(d.PathOnHost, "=") {
		return d, fmt.Errorf("invalid device specification: %s: deckhand knows no CDI devices", s)
	}
	for _, p := range []string{d.PathOnHost, d.PathInContainer} {
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return d, fmt.Errorf("invalid device specification: %s: %q is no absolute path of a device", s, p)
		}
	}
	d.PathInContainer = path.Clean(d.PathInContainer)
	return d, nil
}

// deviceAccess reports whether s is of r, w and m, each at most once.
func deviceAccess(s string) bool {
	for i, r := range s {
		if !strings.ContainsRune("rwm", r) || strings.ContainsRune(s[:i], r) {
			return false
		}
	}
	return s != ""
}

// keepGroups takes podman's keep-groups out of --group-add.
func keepGroups(s *oci.SpecOptions, groups []string) ([]string, error) {
	if !slices.Contains(groups, "keep-groups") {
		return groups, nil
	}
	if len(groups) > 1 {
		return nil, errors.New("the '--group-add keep-groups' option is not allowed with any other --group-add options")
	}
	s.KeepGroups = true
	return nil, nil
}
