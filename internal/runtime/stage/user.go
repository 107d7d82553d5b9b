package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// enterDirectory changes to the working directory and makes it where asked to. It is reached through
// the root, never through a descriptor of the host that somebody left open (CVE-2024-21626).
func enterDirectory(c *child) error {
	cwd := c.plan.Cwd
	if cwd == "" {
		cwd = "/"
	}
	var fd int
	var err error
	if c.plan.CreateCwd {
		fd, err = c.openTarget(cwd, false, inRoot)
	} else {
		fd, err = c.open(cwd, inRoot)
	}
	if err == nil {
		err = syscall.Fchdir(fd)
	}
	if err != nil {
		return fail("change to the working directory "+cwd, err)
	}
	_ = syscall.Close(fd) // O_PATH
	return checkDirectory()
}

// checkDirectory makes sure that the working directory is below the root.
func checkDirectory() error {
	var buf [4096]byte
	n, err := syscall.Getcwd(buf[:])
	if err != nil {
		return fail("find out the working directory", err)
	}
	if n == 0 || buf[0] != '/' { // the kernel says "(unreachable)/…"
		return fail("the working directory is outside the container", syscall.EXDEV)
	}
	return nil
}

// becomeNamespaceRoot takes on the ids that the parent has mapped since we were cloned. The ambient
// capabilities that brought us here are not needed any more.
func becomeNamespaceRoot(c *child) error {
	if !c.plan.NewUser {
		return nil
	}
	if err := raw.Setresgid(0); err != nil {
		return err
	}
	if err := raw.Setresuid(0); err != nil {
		return err
	}
	return raw.Prctl(raw.PR_CAP_AMBIENT, raw.PR_CAP_AMBIENT_CLEAR_ALL, 0)
}

// limitFiles sets the limit on open files, which package syscall has raised for this program.
func limitFiles(c *child) error {
	l := &c.plan.Files
	if *l == (Limit{}) {
		return nil
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard})
}

// limitResources comes as late as it can, and once: with little memory or few processes this program
// could not go on.
func (c *child) limitResources() error {
	for _, l := range c.plan.Limits {
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard}); err != nil {
			return fail("process.rlimits: set limit "+decimal(uint32(l.Resource)), err)
		}
	}
	c.plan.Limits = nil
	return nil
}

// becomeUser takes on the command's user, groups and capabilities.
func becomeUser(c *child) error {
	p := c.plan
	if err := dropBounding(p.Caps.Bounding); err != nil {
		return fail("drop capabilities from the bounding set", err)
	}
	if !p.NoNewPrivileges {
		// Without no_new_privs the kernel takes a filter from nobody but root of the user namespace: it
		// must be loaded here, and let the steps up to execve pass.
		if err := c.loadFilter(); err != nil {
			return err
		}
	}
	if !p.SkipSetgroups {
		if err := raw.Setgroups(p.Groups); err != nil {
			return fail("set the supplementary groups", err)
		}
	}
	if err := raw.Setresgid(p.GID); err != nil {
		return fail("set the group id "+decimal(p.GID), err)
	}
	if err := raw.Prctl(raw.PR_SET_KEEPCAPS, 1, 0); err != nil {
		return fail("keep capabilities", err)
	}
	if err := raw.Setresuid(p.UID); err != nil {
		return fail("set the user id "+decimal(p.UID), err)
	}
	if err := setCaps(&p.Caps); err != nil {
		return err
	}
	if p.NoNewPrivileges {
		if err := raw.Prctl(raw.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
			return fail("set no_new_privs", err)
		}
	}
	syscall.Umask(int(p.Umask))
	return nil
}

// dropBounding leaves only the capabilities of keep in the bounding set.
func dropBounding(keep uint64) error {
	for i := range uintptr(64) {
		if keep&(1<<i) != 0 {
			continue
		}
		err := raw.Prctl(raw.PR_CAPBSET_DROP, i, 0)
		if err == syscall.EINVAL { //nolint:errorlint // errno: beyond the last one this kernel has
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func setCaps(caps *Caps) error {
	if err := raw.Capset(caps.Effective, caps.Permitted, caps.Inheritable); err != nil {
		return fail("set capabilities", err)
	}
	for i := range uintptr(64) {
		if caps.Ambient&(1<<i) == 0 {
			continue
		}
		if err := raw.Prctl(raw.PR_CAP_AMBIENT, raw.PR_CAP_AMBIENT_RAISE, i); err != nil {
			return fail("raise ambient capability "+decimal(uint32(i)), err)
		}
	}
	return nil
}

// decimal is strconv.Itoa without its package.
func decimal(n uint32) string {
	var b [10]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
