package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// Overlay describes an overlay mount.
type Overlay struct {
	Lower       []string // bottom first
	Upper, Work string   // both below UpperBase; empty: read-only
	UpperBase   string
	IDMap       *os.File // user namespace whose mapping shifts every layer, upper included; nil: none
	UserXattr   bool     // inside a user namespace
	NoSuid      bool     // set-id bits and file capabilities are ignored
	Volatile    bool     // fsync does nothing: for an Upper nobody wants after a crash of the machine

	attached bool // for tests: mount as old kernels need it
}

// Mount makes a detached overlay mount (redirects neither made nor followed, metacopy and index off). The caller closes it.
//
// The mount has no devices: a node in a layer is a file that cannot be opened, whoever made the
// layer. Work may be one that another mount left, whether that ended or its machine crashed.
func (o Overlay) Mount() (*os.File, error) {
	if len(o.Lower) == 1 && o.Upper == "" {
		return o.mountSingle()
	}
	if o.Work != "" {
		// A volatile mount leaves a mark that keeps Upper from being mounted ever again.
		if err := os.RemoveAll(filepath.Join(o.Work, "work", "incompat")); err != nil {
			return nil, fmt.Errorf("remove the mark of the last mount: %w", err)
		}
	}
	if o.attached {
		return o.mountAttached()
	}
	m, err := o.mount()
	if !refused(err) {
		return m, err
	}
	m, byPath := o.mountAttached()
	if byPath != nil {
		return nil, fmt.Errorf("%w; by path: %w", err, byPath)
	}
	return m, nil
}

func (o Overlay) mount() (*os.File, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open filesystem overlay: %w", err)
	}
	// The layers' descriptors must live until the mount is made.
	layers := layerFiles{}
	defer layers.close()
	defer closeFd(fs)
	if err := o.addLayers(fs, &layers); err != nil {
		return nil, err
	}
	if err := o.setOptions(fs); err != nil {
		return nil, err
	}
	if layers.upper == nil {
		return create(fs, "overlay", o.attrs())
	}
	var m *os.File
	err = asOwner(layers.upper, func() error {
		m, err = create(fs, "overlay", o.attrs())
		return err
	})
	return m, err
}

// mountSingle makes a read-only mount of the only layer: overlayfs wants two.
func (o Overlay) mountSingle() (*os.File, error) {
	m, err := Clone(o.Lower[0], false)
	if err != nil {
		return nil, err
	}
	if o.IDMap != nil {
		err = IDMap(m, o.IDMap, false)
	}
	if err == nil {
		err = SetAttr(m, Attr{Set: unix.MOUNT_ATTR_RDONLY | uint64(o.attrs()), Propagation: unix.MS_PRIVATE}) //nolint:gosec // two flags
	}
	if err != nil {
		_ = m.Close() // detached: nothing to lose
		return nil, err
	}
	return m, nil
}

func (o Overlay) attrs() int {
	if o.NoSuid {
		return unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID
	}
	return unix.MOUNT_ATTR_NODEV
}

func (o Overlay) setOptions(fs int) error {
	// nofollow is also all that userxattr can go with.
	for _, opt := range [...][2]string{{"xino", "off"}, {"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}} {
		if err := setOption(fs, opt[0], opt[1]); err != nil {
			return err
		}
	}
	// uuid=off, or the kernel marks the upper directory with an attribute that ends up in layers.
	if err := setOption(fs, "uuid", "off"); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if o.Upper != "" && o.Volatile {
		if err := setOption(fs, "volatile", ""); err != nil {
			return err
		}
	}
	if o.UserXattr {
		return setOption(fs, "userxattr", "")
	}
	return nil
}

// addLayers names the layers, the uppermost lower first as the kernel wants it.
func (o Overlay) addLayers(fs int, layers *layerFiles) error {
	for _, dir := range slices.Backward(o.Lower) {
		if err := o.addLower(fs, dir, layers); err != nil {
			return err
		}
	}
	if o.Upper == "" {
		return nil
	}
	return o.addUpper(fs, layers)
}

func (o Overlay) addLower(fs int, dir string, layers *layerFiles) error {
	if o.IDMap == nil {
		if err := unix.FsconfigSetString(fs, "lowerdir+", dir); err != nil {
			return fmt.Errorf("add layer %s: %w", dir, explain(fs, err))
		}
		return nil
	}
	m, err := layers.open(dir, o.IDMap)
	if err != nil {
		return fmt.Errorf("add layer: %w", err)
	}
	if err := unix.FsconfigSetFd(fs, "lowerdir+", int(m.Fd())); err != nil {
		return fmt.Errorf("add layer %s: %w", dir, explain(fs, err))
	}
	return nil
}

func (o Overlay) addUpper(fs int, layers *layerFiles) error {
	if o.IDMap == nil {
		for _, d := range [...][2]string{{"upperdir", o.Upper}, {"workdir", o.Work}} {
			if err := unix.FsconfigSetString(fs, d[0], d[1]); err != nil {
				return fmt.Errorf("set %s %s: %w", d[0], d[1], explain(fs, err))
			}
		}
		return nil
	}
	base, err := layers.open(o.UpperBase, o.IDMap)
	if err != nil {
		return fmt.Errorf("add upper layer: %w", err)
	}
	for _, d := range [...][2]string{{"upperdir", o.Upper}, {"workdir", o.Work}} {
		name, err := filepath.Rel(o.UpperBase, d[1])
		if err != nil {
			return fmt.Errorf("find %s below %s: %w", d[1], o.UpperBase, err)
		}
		f, err := layers.below(base, name)
		if err != nil {
			return err
		}
		if err := unix.FsconfigSetFd(fs, d[0], int(f.Fd())); err != nil {
			return fmt.Errorf("set %s %s: %w", d[0], d[1], explain(fs, err))
		}
		if layers.upper == nil {
			layers.upper = f
		}
	}
	return nil
}

// layerFiles are open layers.
type layerFiles struct {
	all   []*os.File
	upper *os.File // the idmapped upper, one of all
}

func (l *layerFiles) close() {
	for _, f := range l.all {
		_ = f.Close() // mounts and O_PATH descriptors: nothing to lose
	}
}

// open makes a detached clone of the mount at dir, shifted if there is a userns.
func (l *layerFiles) open(dir string, userns *os.File) (*os.File, error) {
	m, err := Clone(dir, false)
	if err != nil {
		return nil, err
	}
	l.all = append(l.all, m)
	if userns == nil {
		return m, nil
	}
	return m, IDMap(m, userns, false)
}

func (l *layerFiles) below(base *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat2(int(base.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(base.Name(), name), Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	l.all = append(l.all, f)
	return f, nil
}

// asOwner calls fn with the owner of upper as this thread's filesystem ids: overlayfs keeps the
// mounter's credentials to make files in upper and work, and an idmapped upper has no id for the
// host's root. The kernel takes the filesystem capabilities away with the id; they are raised again,
// as overlayfs must act on everybody's files.
func asOwner(upper *os.File, fn func() error) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(upper.Fd()), &st); err != nil {
		return fmt.Errorf("stat upper layer: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setfs(unix.SYS_SETFSGID, uintptr(st.Gid))
	setfs(unix.SYS_SETFSUID, uintptr(st.Uid))
	defer func() {
		setfs(unix.SYS_SETFSUID, uintptr(os.Geteuid()))
		setfs(unix.SYS_SETFSGID, uintptr(os.Getegid()))
	}()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("raise capabilities: %w", err)
	}
	return fn()
}

// setfs calls setfsuid or setfsgid for this thread only; they have no errors to report.
func setfs(call, id uintptr) { _, _, _ = unix.RawSyscall(call, id, 0, 0) }
