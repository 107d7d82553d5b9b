package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	goruntime "runtime"
	"slices"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Device is a device node's type and number.
type Device struct {
	Block        bool
	Major, Minor uint32
}

// AllowDevices has the kernel refuse the group's processes every device but the given ones and those
// that all containers have: null, zero, full, random, urandom, tty, ptmx, and terminals. The rule
// lasts as long as the group. It needs CAP_BPF and CAP_NET_ADMIN, or root.
//
// A container needs it only if it may change mounts: for others, mounts without devices are enough.
func AllowDevices(dir *os.File, more []Device) error {
	rules := make([]deviceRule, 0, len(standardDevices)+len(more))
	for _, d := range append(slices.Clip(standardDevices), more...) {
		r := deviceRule{allow: true, access: accessAll, kinds: isChar, major: int64(d.Major), minor: int64(d.Minor)}
		if d.Block {
			r.kinds = isBlock
		}
		if d.Minor == anyMinor {
			r.minor = any32
		}
		rules = append(rules, r)
	}
	fd, err := loadDevices(rules)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // the group holds it
	return attachDevices(int(dir.Fd()), fd)
}

// standardDevices are those that all containers have: null, zero, full, random, urandom, tty, ptmx and terminals.
var standardDevices = []Device{
	{Major: 1, Minor: 3},
	{Major: 1, Minor: 5},
	{Major: 1, Minor: 7},
	{Major: 1, Minor: 8},
	{Major: 1, Minor: 9},
	{Major: 5, Minor: 0},
	{Major: 5, Minor: 2},
	{Major: 136, Minor: anyMinor},
}

// StandardDevices are the rules that allow them. The caller owns the slice.
func StandardDevices() []specs.LinuxDeviceCgroup {
	rules := make([]specs.LinuxDeviceCgroup, 0, len(standardDevices))
	for _, d := range standardDevices {
		major, minor := int64(d.Major), int64(d.Minor)
		r := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Access: "rwm"}
		if d.Minor != anyMinor {
			r.Minor = &minor
		}
		rules = append(rules, r)
	}
	return rules
}

// deviceFiles reports whether rules are to be in the files of version 1. Beside the unified tree they are for other
// programs to read, so that no container is moved for them.
func (g *Group) deviceFiles(h *host) bool {
	return h.v1Of("devices") != nil && (g.Dir == nil || g.fresh)
}

// restrict sets the container's device rules: of the unified tree by a program, of version 1 by its files. None leave
// them as they are.
func (g *Group) restrict(rules []deviceRule) error {
	if len(rules) == 0 {
		return nil
	}
	m := g.memberOf("devices")
	if m != nil {
		if err := restrictV1(m.dir, rules, g.Dir == nil); err != nil {
			return err
		}
	}
	if g.Dir == nil {
		if m == nil {
			return refuse("devices", "this machine has no cgroup controller devices")
		}
		return nil
	}
	return notPermitted(replaceDevices(int(g.Dir.Fd()), rules))
}

// replaceDevices attaches a program in the place of those that are there.
func replaceDevices(group int, rules []deviceRule) error {
	before, err := attachedDevices(group)
	if err != nil {
		return err
	}
	fd, err := loadDevices(rules)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // the group holds it
	if err := attachDevices(group, fd); err != nil {
		return err
	}
	return detachDevices(group, before)
}

// notPermitted names the field.
func notPermitted(err error) error {
	if err == nil {
		return nil
	}
	why := "the rule cannot be set"
	if errors.Is(err, fs.ErrPermission) {
		why = "this user may give a cgroup no rule for devices"
	}
	return &FieldError{Field: "devices", Why: why, Err: err}
}

// loadDevices loads a program, which the caller closes.
func loadDevices(rules []deviceRule) (int, error) {
	prog := deviceProgram(rules)
	license := []byte("GPL\x00")
	load := struct {
		progType, insnCount      uint32
		insns, license           uint64
		logLevel, logSize        uint32
		logBuf                   uint64
		kernVersion, progFlags   uint32
		name                     [16]byte
		ifindex, expectedAttachT uint32
	}{
		progType: unix.BPF_PROG_TYPE_CGROUP_DEVICE, insnCount: uint32(len(prog)),
		insns: uint64(uintptr(unsafe.Pointer(&prog[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
		expectedAttachT: unix.BPF_CGROUP_DEVICE,
	}
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&load), unsafe.Sizeof(load))
	goruntime.KeepAlive(prog)
	goruntime.KeepAlive(license)
	if err != nil {
		return -1, fmt.Errorf("load the device rule: %w", err)
	}
	return fd, nil
}

// attachment is the part of union bpf_attr for attaching and detaching.
type attachment struct{ target, prog, typ, flags uint32 }

func attachDevices(group, prog int) error {
	a := attachment{uint32(group), uint32(prog), unix.BPF_CGROUP_DEVICE, unix.BPF_F_ALLOW_MULTI}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
		return fmt.Errorf("attach the device rule: %w", err)
	}
	return nil
}

// attachedDevices are the ids of the programs that the group has itself.
func attachedDevices(group int) ([]uint32, error) {
	var ids [64]uint32 // the kernel attaches no more
	query := struct {
		target, typ, flags, attached uint32
		ids                          uint64
		count, reserved              uint32
		attachFlags                  uint64
	}{
		target: uint32(group), typ: unix.BPF_CGROUP_DEVICE,
		ids: uint64(uintptr(unsafe.Pointer(&ids[0]))), count: uint32(len(ids)),
	}
	_, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&query), unsafe.Sizeof(query))
	goruntime.KeepAlive(&ids)
	if err != nil {
		return nil, fmt.Errorf("find the device rules: %w", err)
	}
	return ids[:min(int(query.count), len(ids))], nil
}

func detachDevices(group int, ids []uint32) error {
	for _, id := range ids {
		by := struct{ id, next, flags uint32 }{id: id}
		prog, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&by), unsafe.Sizeof(by))
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open the former device rule: %w", err)
		}
		a := attachment{target: uint32(group), prog: uint32(prog), typ: unix.BPF_CGROUP_DEVICE}
		_, err = bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&a), unsafe.Sizeof(a))
		_ = unix.Close(prog) // only to name it
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("detach the former device rule: %w", err)
		}
	}
	return nil
}

// bpf makes the call, again where a signal interrupted the kernel's verifier: that is EAGAIN, not EINTR.
func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EAGAIN:
		default:
			return -1, errno
		}
	}
}
