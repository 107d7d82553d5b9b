package bundle

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// validate checks what no machine could carry out. What this one cannot is found by whoever tries.
func validate(s *specs.Spec) error {
	if err := checkVersion(s.Version); err != nil {
		return err
	}
	if s.Root == nil || s.Root.Path == "" {
		return errors.New("root.path must not be empty")
	}
	if s.Process == nil {
		return errors.New("process property must not be empty")
	}
	if s.Linux == nil {
		return errors.New("linux property must not be empty")
	}
	for name, set := range map[string]bool{
		"solaris": s.Solaris != nil, "windows": s.Windows != nil, "vm": s.VM != nil, "zos": s.ZOS != nil, "freebsd": s.FreeBSD != nil,
	} {
		if set {
			return fmt.Errorf("%s: this is Linux", name)
		}
	}
	if err := validateHooks(s.Hooks); err != nil {
		return err
	}
	return validateProcess(s.Process)
}

// checkVersion accepts every version 1, whatever its minor: those only add (runtime-spec, README,
// "Versioning").
func checkVersion(version string) error {
	core, _, _ := strings.Cut(version, "-")
	core, _, _ = strings.Cut(core, "+")
	numbers := strings.Split(core, ".")
	ok := len(numbers) == 3
	for _, n := range numbers {
		if _, err := strconv.ParseUint(n, 10, 32); err != nil {
			ok = false
		}
	}
	switch {
	case version == "":
		return errors.New("ociVersion must not be empty")
	case !ok:
		return fmt.Errorf("ociVersion %q is not a version", version)
	case numbers[0] != "1":
		return fmt.Errorf("ociVersion %s is not supported: 1.0.0 to %s are", version, specs.Version)
	}
	return nil
}

func validateProcess(p *specs.Process) error {
	switch {
	case len(p.Args) == 0:
		return errors.New("process.args must not be empty")
	case p.Cwd == "":
		return errors.New("process.cwd must not be empty")
	case !path.IsAbs(p.Cwd):
		return fmt.Errorf("process.cwd %q must be an absolute path", p.Cwd)
	}
	for _, e := range p.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" || strings.ContainsRune(e, 0) {
			return fmt.Errorf("process.env: %q is not NAME=value", e)
		}
	}
	seen := map[string]bool{}
	for _, r := range p.Rlimits {
		if seen[r.Type] {
			return fmt.Errorf("process.rlimits has %s twice", r.Type)
		}
		if r.Soft > r.Hard {
			return fmt.Errorf("process.rlimits %s: the soft limit %d is above the hard limit %d", r.Type, r.Soft, r.Hard)
		}
		seen[r.Type] = true
	}
	return nil
}

func validateHooks(h *specs.Hooks) error {
	if h == nil {
		return nil
	}
	for _, point := range hookPoints(h) {
		for i, hook := range point.hooks {
			if !path.IsAbs(hook.Path) {
				return fmt.Errorf("hooks.%s[%d].path %q must be an absolute path", point.name, i, hook.Path)
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				return fmt.Errorf("hooks.%s[%d].timeout must be greater than zero", point.name, i)
			}
		}
	}
	return nil
}

// checkID accepts runc's ids.
func checkID(id string) error {
	if id == "" {
		return ErrNoID
	}
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+-.", r)
	}
	if id == "." || id == ".." || len(id) > 255 || strings.ContainsFunc(id, bad) {
		return fmt.Errorf("%w: %q", ErrBadID, id)
	}
	return nil
}
