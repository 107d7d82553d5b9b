package cli

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/oci"
)

// applySecurity applies --security-opt; granted are the container's capabilities, which a seccomp
// profile may depend on.
func applySecurity(s *oci.SpecOptions, opts, granted []string) error {
	for _, o := range opts {
		if err := applySecurityOption(s, o, granted); err != nil {
			return err
		}
	}
	return nil
}

func applySecurityOption(s *oci.SpecOptions, o string, granted []string) error {
	key, value, set := cutSecurity(o)
	switch key {
	case "no-new-privileges":
		on, err := strconv.ParseBool(value)
		if err != nil && set {
			return fmt.Errorf("invalid --security-opt %q: %s is neither true nor false", o, value)
		}
		s.NewPrivileges = set && !on
		return nil
	case "seccomp":
		return applySeccomp(s, value, granted)
	case "seccomp-abi":
		return applyABI(s, value)
	case "apparmor":
		return applyApparmor(s, o, value)
	case "label":
		return applyLabel(s, o, value)
	case "systempaths", "mask", "unmask":
		return applyPaths(s, o, key, value)
	}
	return hint.With(fmt.Errorf("invalid --security-opt: %q", o),
		"one of:  no-new-privileges[=bool], seccomp=unconfined|builtin|FILE, seccomp-abi=x86|x32|arm, apparmor=PROFILE, label=KEY:VALUE|disable, systempaths=unconfined, mask=PATH[:PATH...], unmask=ALL|PATH[:PATH...]")
}

// applyPaths says which paths are hidden or read-only.
func applyPaths(s *oci.SpecOptions, o, key, value string) error {
	if key == "systempaths" {
		if value != "unconfined" {
			return fmt.Errorf("invalid --security-opt %q: systempaths=unconfined is the only one", o)
		}
		s.UnmaskSystemPaths = true
		return nil
	}
	if key == "unmask" && value == oci.UnmaskAll {
		s.Unmasked = append(s.Unmasked, value)
		return nil
	}
	for p := range strings.SplitSeq(value, ":") {
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return fmt.Errorf("invalid --security-opt %q: %q is no absolute path below /", o, p)
		}
		if key == "mask" {
			s.Masked = append(s.Masked, path.Clean(p))
			continue
		}
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("invalid --security-opt %q: %w", o, err)
		}
		s.Unmasked = append(s.Unmasked, path.Clean(p))
	}
	return nil
}

// applyApparmor has the process be under a profile that is loaded.
func applyApparmor(s *oci.SpecOptions, o, value string) error {
	if value == "" {
		return fmt.Errorf("invalid --security-opt %q: the profile's name is missing", o)
	}
	if value == "unconfined" {
		s.Apparmor = ""
		return nil
	}
	if !hasAppArmor() {
		return fmt.Errorf("--security-opt %s cannot be enforced: this kernel runs without AppArmor", o)
	}
	s.Apparmor = value
	return nil
}

func hasAppArmor() bool {
	on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.TrimSpace(string(on)) == "Y"
}

func hasSELinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

// baseLabel is what SELinux's container policy calls a container's processes, and baseFileLabel its files.
const (
	baseLabel     = "system_u:system_r:container_t:s0"
	baseFileLabel = "system_u:object_r:container_file_t:s0"
)

// applyLabel changes a part of the SELinux label: user, role, type, level, or filetype.
func applyLabel(s *oci.SpecOptions, o, value string) error {
	if value == "disable" {
		s.Label, s.MountLabel = "", ""
		return nil
	}
	kind, part, ok := strings.Cut(value, ":")
	index := slices.Index([]string{"user", "role", "type", "level", "filetype"}, kind)
	if !ok || part == "" || index < 0 {
		return hint.With(fmt.Errorf("invalid --security-opt: %q", o), "one of:  label=disable, label=user:USER, label=role:ROLE, label=type:TYPE, label=level:LEVEL, label=filetype:TYPE")
	}
	if !hasSELinux() {
		return fmt.Errorf("--security-opt %s cannot be enforced: this kernel runs without SELinux", o)
	}
	s.Label, s.MountLabel = relabel(s.Label, s.MountLabel, index, part)
	return nil
}

// relabel changes the part at index of the label of processes; the level is that of files too, and one past the end is
// the type of files.
func relabel(process, file string, index int, part string) (string, string) {
	if process == "" {
		process, file = baseLabel, baseFileLabel
	}
	const typeAt, levelAt = 2, 3
	p, f := strings.SplitN(process, ":", 4), strings.SplitN(file, ":", 4)
	switch {
	case index > levelAt:
		f[typeAt] = part
	case index == levelAt:
		p[levelAt], f[levelAt] = part, part
	default:
		p[index] = part
	}
	return strings.Join(p, ":"), strings.Join(f, ":")
}

// cutSecurity splits at "=", or at ":" as older dockers did.
func cutSecurity(o string) (key, value string, set bool) {
	if strings.Contains(o, "=") {
		return strings.Cut(o, "=")
	}
	return strings.Cut(o, ":")
}

func applySeccomp(s *oci.SpecOptions, value string, granted []string) error {
	s.Seccomp, s.SeccompUnconfined = nil, false
	switch value {
	case "builtin":
		if s.Privileged {
			p, err := seccomp.Default(granted)
			s.Seccomp = p
			return err
		}
		return nil
	case "unconfined":
		s.SeccompUnconfined = true
		return nil
	}
	b, err := readProfile(value)
	if err != nil {
		return fmt.Errorf("opening seccomp profile (%s) failed: %w", value, err)
	}
	p, err := seccomp.ParseProfile(b, granted)
	if err != nil {
		return fmt.Errorf("read seccomp profile %s: %w", value, err)
	}
	s.Seccomp = p
	return nil
}

// applyABI lets programs of another ABI run under the filter; the name is tried on a profile that is thrown away.
func applyABI(s *oci.SpecOptions, name string) error {
	if err := seccomp.AllowABI(&specs.LinuxSeccomp{}, name); err != nil {
		return fmt.Errorf("invalid --security-opt seccomp-abi: %w", err)
	}
	s.SeccompABIs = append(s.SeccompABIs, name)
	return nil
}

// readProfile reads a file that may be a pipe or a device, up to what no profile is as large as.
func readProfile(name string) ([]byte, error) {
	const limit = 4 << 20
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	return b, err
}
