package features

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeDir makes p.dir with the directories lower, upper and work in it, at the data root or the
// nearest directory above it that exists. The function it returns removes them.
func (p *prober) makeDir(dataRoot string) (remove func()) {
	at := filepath.Clean(dataRoot)
	for {
		_, err := os.Stat(at)
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	dir, err := os.MkdirTemp(at, ".deckhand-info-")
	for _, name := range [...]string{"lower", "upper", "work"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, name), 0o755) //nolint:gosec // a root directory for containers
		}
	}
	if err != nil {
		p.dirErr = fmt.Errorf("no directory to try it in: %w", err)
	}
	p.dir, p.fsName = dir, filesystem(at)
	return func() {
		if dir != "" {
			_ = os.RemoveAll(dir) // made above
		}
	}
}

// filesystem names the filesystem of a directory.
func filesystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown filesystem"
	}
	switch uint32(st.Type) { //nolint:gosec // magic numbers are 32 bits, signed on some architectures
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case 0x2fc12fc1:
		return "zfs"
	case unix.FUSE_SUPER_MAGIC:
		return "fuse"
	}
	return fmt.Sprintf("filesystem %#x", uint32(st.Type)) //nolint:gosec // as above
}
