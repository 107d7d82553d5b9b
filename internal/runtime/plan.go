package runtime

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/linux/vfork"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

const defaultUmask = 0o022

// processPlan translates the part of config.json that Start and Exec share.
func processPlan(p *specs.Process, l *specs.Linux, m *ids, warn func(string)) (*stage.Plan, error) {
	if len(p.Args) == 0 {
		return nil, errors.New("process.args is empty")
	}
	plan := &stage.Plan{
		Terminal:        p.Terminal,
		UID:             p.User.UID,
		GID:             p.User.GID,
		Groups:          p.User.AdditionalGids,
		SkipSetgroups:   m.setgroupsDenied,
		Umask:           defaultUmask,
		NoNewPrivileges: p.NoNewPrivileges,
		Cwd:             cleanPath(p.Cwd),
		CreateCwd:       true,
		Args:            p.Args,
		Env:             p.Env,
		SearchPath:      searchPath(p.Env),
		Files:           stage.Limit{Soft: vfork.FileLimit.Soft, Hard: vfork.FileLimit.Hard},
	}
	if p.User.Umask != nil {
		plan.Umask = *p.User.Umask
	}
	if p.ConsoleSize != nil {
		if p.ConsoleSize.Height > math.MaxUint16 || p.ConsoleSize.Width > math.MaxUint16 {
			return nil, fmt.Errorf("process.consoleSize: no terminal has %dx%d", p.ConsoleSize.Height, p.ConsoleSize.Width)
		}
		plan.Rows, plan.Columns = uint16(p.ConsoleSize.Height), uint16(p.ConsoleSize.Width)
	}
	if err := checkIDs(p, m); err != nil {
		return nil, err
	}
	if err := addCaps(plan, p.Capabilities, warn); err != nil {
		return nil, err
	}
	if err := addAttributes(plan, p, l); err != nil {
		return nil, err
	}
	return plan, addSeccomp(plan, l.Seccomp)
}

// setgroupsDenied: a namespace with a single id is made by an ordinary user, who may not let it call
// setgroups (user_namespaces(7)).
func setgroupsDenied(l *specs.Linux) bool {
	return len(l.GIDMappings) == 1 && l.GIDMappings[0].Size == 1
}

// checkIDs says which id has no place in the user namespace; the kernel would say "invalid argument".
func checkIDs(p *specs.Process, m *ids) error {
	if _, ok := hostID(m.uids, p.User.UID); !ok {
		return fmt.Errorf("uid %d is not mapped into the container", p.User.UID)
	}
	groups := append([]uint32{p.User.GID}, p.User.AdditionalGids...)
	if m.setgroupsDenied {
		groups = groups[:1]
	}
	for _, gid := range groups {
		if _, ok := hostID(m.gids, gid); !ok {
			return fmt.Errorf("gid %d is not mapped into the container", gid)
		}
	}
	return nil
}

func addSeccomp(plan *stage.Plan, profile *specs.LinuxSeccomp) error {
	if profile == nil {
		return nil
	}
	prog, err := seccomp.Compile(profile)
	if err != nil {
		return fmt.Errorf("compile seccomp profile: %w", err)
	}
	if prog.NoExec {
		return &seccomp.ProfileError{Where: "execve", What: "refused, so that no command could be started"}
	}
	plan.SeccompFlags = uint32(prog.Flags)
	if n := len(prog.Filter); n > 0 {
		size := n * int(unsafe.Sizeof(prog.Filter[0]))
		plan.Seccomp = unsafe.Slice((*byte)(unsafe.Pointer(&prog.Filter[0])), size)
	}
	return nil
}

// KeepGroups is the annotation that leaves the supplementary groups of the caller to the process instead of process.user's;
// crun knows it too.
const KeepGroups = "run.oci.keep_original_groups"

// startPlan translates the whole of config.json, but for the mounts.
func startPlan(s *specs.Spec, m *ids, warn func(string)) (*stage.Plan, error) {
	plan, err := processPlan(s.Process, s.Linux, m, warn)
	if err != nil {
		return nil, err
	}
	plan.SkipSetgroups = plan.SkipSetgroups || s.Annotations[KeepGroups] == "1"
	plan.NewUser = newNamespace(s, specs.UserNamespace)
	plan.NewCgroup = newNamespace(s, specs.CgroupNamespace)
	plan.NewNetwork = newNamespace(s, specs.NetworkNamespace)
	plan.Loopback = plan.NewNetwork
	plan.ReadonlyRoot = s.Root != nil && s.Root.Readonly
	plan.Hostname, plan.Domainname = s.Hostname, s.Domainname
	_, ownMounts := namespace(s, specs.MountNamespace)
	plan.HostMounts = !ownMounts
	plan.NewTime, plan.TimeOffsets = newNamespace(s, specs.TimeNamespace), timeOffsets(s.Linux.TimeOffsets)
	for _, p := range s.Linux.MaskedPaths {
		plan.Masked = append(plan.Masked, cleanPath(p))
	}
	for _, p := range s.Linux.ReadonlyPaths {
		plan.Readonly = append(plan.Readonly, cleanPath(p))
	}
	for k, v := range s.Linux.Sysctl {
		plan.Sysctl = append(plan.Sysctl, stage.Pair{Key: sysctlFile(k), Value: v})
	}
	slices.SortFunc(plan.Sysctl, func(a, b stage.Pair) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	plan.RootPropagation, err = rootPropagation(s.Linux.RootfsPropagation)
	plan.PropagateBelow = strings.HasPrefix(s.Linux.RootfsPropagation, "r")
	return plan, err
}

func rootPropagation(name string) (uint64, error) {
	switch p := propagations(strings.TrimPrefix(name, "r")); {
	case name == "" || p == unix.MS_PRIVATE:
		return 0, nil // a new mount is private
	case p == 0:
		return 0, fmt.Errorf("linux.rootfsPropagation: unknown %q", name)
	default:
		return p, nil
	}
}
