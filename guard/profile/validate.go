package profile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/oci"
	"github.com/deckhand-engine/deckhand/ref"
)

// maxID is the greatest id that a user or a group may have.
const maxID = 1<<31 - 1

// Check reports with an *Error the first thing that is wrong with the profile.
func (p *Profile) Check() error {
	if p.Version != Version {
		return &Error{Field: "version", Reason: fmt.Sprintf("%d is not known here, only %d is", p.Version, Version)}
	}
	if _, _, err := p.IDs(); err != nil {
		return err
	}
	for _, check := range [...]func() error{
		p.checkImage, p.checkCapabilities, p.checkMounts, p.checkSysctls, p.checkPorts, p.checkSeccomp,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// IDs are the profile's user and group.
func (p *Profile) IDs() (uid, gid uint32, err error) {
	u, g, both := strings.Cut(p.User, ":")
	uid, ok := id(u)
	gid, ok2 := id(g)
	if !both || !ok || !ok2 {
		return 0, 0, &Error{
			Field: "user", Reason: fmt.Sprintf("%q is not two numbers UID:GID", p.User), Hint: `such as:  "user": "9000:9000"`,
		}
	}
	return uid, gid, nil
}

// id reads a number as it is written, without signs and leading zeros.
func id(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n <= maxID && s == strconv.FormatUint(n, 10)
}

func (p *Profile) checkImage() error {
	if strings.ContainsFunc(p.Image, unprintable) {
		return &Error{Field: "image", Reason: fmt.Sprintf("%q is no image reference", p.Image)}
	}
	sum, ok := strings.CutPrefix(p.ImageID, "sha256:")
	if p.ImageID == "" || ok && len(sum) == 64 && isHex(sum) {
		return nil
	}
	return &Error{Field: "imageId", Reason: fmt.Sprintf("%q is not sha256: and 64 hex digits", p.ImageID), Hint: "what it is:  deckhand inspect -f '{{.Id}}' IMAGE"}
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s == strings.ToLower(s)
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) || r == ' ' }

func (p *Profile) checkCapabilities() error {
	for i, c := range p.Capabilities {
		at := fmt.Sprintf("capabilities[%d]", i)
		switch {
		case !slices.Contains(caps.All(), c):
			return &Error{Field: at, Reason: fmt.Sprintf("%q is no capability's name", c), Hint: `in full, such as:  "CAP_NET_RAW"`}
		case slices.Contains(p.Capabilities[:i], c):
			return &Error{Field: at, Reason: c + " stands here twice"}
		}
	}
	return nil
}

func (p *Profile) checkMounts() error {
	taken := map[string]string{}
	place := func(at, dir string) error {
		if err := checkPath(dir); err != nil {
			return &Error{Field: at, Reason: err.Error(), Hint: "a directory of the container, such as:  \"/var/lib/redis\""}
		}
		if other := taken[dir]; other != "" {
			return &Error{Field: at, Reason: fmt.Sprintf("%s is %s already", dir, other)}
		}
		taken[dir] = at
		return nil
	}
	for i, t := range p.Tmpfs {
		at := fmt.Sprintf("tmpfs[%d]", i)
		if err := place(at+".path", t.Path); err != nil {
			return err
		}
		if n, err := strconv.ParseUint(t.Mode, 8, 32); t.Mode != "" && (err != nil || n > 0o7777) {
			return &Error{Field: at + ".mode", Reason: fmt.Sprintf("%q is no octal mode", t.Mode), Hint: `such as:  "1777"`}
		}
	}
	for i, v := range p.Volumes {
		at := fmt.Sprintf("volumes[%d]", i)
		if err := place(at+".path", v.Path); err != nil {
			return err
		}
		if v.Name != "" && !ref.ValidName(v.Name) {
			return &Error{Field: at + ".name", Reason: fmt.Sprintf("%q is no volume's name", v.Name), Hint: "letters, digits, and after the first one _ . -"}
		}
	}
	return nil
}

// checkPath holds what the runtime mounts on to clean paths below the root, outside of the kernel's own.
func checkPath(dir string) error {
	switch {
	case !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/":
		return fmt.Errorf("%q is not a clean absolute path below /", dir)
	case strings.ContainsFunc(dir, func(r rune) bool { return !strconv.IsPrint(r) }):
		return fmt.Errorf("%q has a character that cannot be printed", dir)
	}
	for _, kernel := range [...]string{"/proc", "/sys"} {
		if dir == kernel || strings.HasPrefix(dir, kernel+"/") {
			return fmt.Errorf("%s is the kernel's", dir)
		}
	}
	if dir == "/dev" {
		return errors.New("/dev is made by the runtime")
	}
	return nil
}

func (p *Profile) checkSysctls() error {
	for _, name := range slices.Sorted(maps.Keys(p.Sysctls)) {
		if err := oci.CheckSysctl(name, p.Sysctls[name], false); err != nil {
			return &Error{Field: "sysctls." + name, Reason: err.Error()}
		}
	}
	return nil
}

func (p *Profile) checkPorts() error {
	for i, s := range p.Ports {
		number, protocol, _ := strings.Cut(s, "/")
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
			return &Error{Field: fmt.Sprintf("ports[%d]", i), Reason: fmt.Sprintf("%q is no port", s), Hint: `such as:  "6379/tcp"`}
		}
	}
	return nil
}

func (p *Profile) checkSeccomp() error {
	if p.Seccomp == "" || filepath.Base(p.Seccomp) == p.Seccomp && p.Seccomp != "." && p.Seccomp != ".." && p.Seccomp != "/" && !strings.ContainsRune(p.Seccomp, 0) {
		return nil
	}
	return &Error{Field: "seccomp", Reason: fmt.Sprintf("%q is not the name of a file beside the profile", p.Seccomp)}
}
