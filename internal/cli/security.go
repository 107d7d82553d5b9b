package cli

import (
	"fmt"
	"io"
	"os"
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
	case "systempaths":
		if value != "unconfined" {
			return fmt.Errorf("invalid --security-opt %q: systempaths=unconfined is the only one", o)
		}
		s.UnmaskSystemPaths = true
		return nil
	case "apparmor", "label":
		if value != "unconfined" && value != "disable" {
			return fmt.Errorf("invalid --security-opt %q: deckhand sets no %s profile", o, key)
		}
		return nil
	}
	return hint.With(fmt.Errorf("invalid --security-opt: %q", o),
		"one of:  no-new-privileges[=bool], seccomp=unconfined|builtin|FILE, seccomp-abi=x86|x32|arm, systempaths=unconfined")
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
