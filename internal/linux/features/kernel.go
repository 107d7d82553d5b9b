package features

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

func (p *prober) kernel() Feature {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return no(err.Error(), "")
	}
	release := unix.ByteSliceToString(u.Release[:])
	return kernelRelease(release, unix.ByteSliceToString(u.Machine[:]))
}

// kernelRelease compares with the oldest kernel that has everything, of which overlays of idmapped layers are
// the youngest.
func kernelRelease(release, machine string) Feature {
	const wantMajor, wantMinor = 5, 19
	var major, minor int
	detail := "Linux " + release + " " + machine
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return no(detail+": version not understood", "")
	}
	if major < wantMajor || major == wantMajor && minor < wantMinor {
		return no(detail, fmt.Sprintf("upgrade to Linux %d.%d or newer", wantMajor, wantMinor))
	}
	return yes(detail)
}

// seccompFilter loads the default profile into a thread.
func (p *prober) seccompFilter() Feature {
	profile, err := seccomp.Default(nil)
	if err != nil {
		return no(err.Error(), "")
	}
	program, err := seccomp.Compile(profile)
	if err != nil {
		return no(err.Error(), "")
	}
	err = onThread(func() error {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
		if err := program.Load(); err != nil {
			return fmt.Errorf("load filter: %w", err)
		}
		return nil
	})
	return outcome(err, fmt.Sprintf("docker's default profile, %d instructions", len(program.Filter)),
		"use a kernel with CONFIG_SECCOMP_FILTER, or run with --security-opt seccomp=unconfined")
}

func (p *prober) pidfd() Feature {
	fd, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err == nil {
		err = unix.PidfdSendSignal(fd, 0, nil, 0)
		_ = unix.Close(fd) // refers to ourselves
	}
	return outcome(err, "", "upgrade to Linux 5.3 or newer")
}

func (p *prober) mountAPI() Feature {
	const fix = "upgrade to Linux 5.12 or newer"
	if p.in != nil {
		return p.in.feature(p.in.MountAPI, "", fix)
	}
	return outcome(tryMountAPI(), "", fix)
}

// tryMountAPI makes a detached tmpfs and changes it.
func tryMountAPI() error {
	m, err := mount.NewFilesystem("tmpfs", unix.MOUNT_ATTR_NOSUID)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }() // detached
	return mount.SetAttr(m, mount.Attr{Set: unix.MOUNT_ATTR_RDONLY})
}
