package outfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ErrChanged says that somebody else wrote the file meanwhile.
var ErrChanged = errors.New("it changed meanwhile; run the command again")

// Replace puts fixed in the place of a file that still holds was: whole or not at all, with its mode and owner. The
// error is ErrChanged where it does not hold was, and does not name the file.
func Replace(name string, was, fixed []byte) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link: name the file it points to")
	case !info.Mode().IsRegular():
		return ErrChanged
	}
	if now, err := os.ReadFile(name); err != nil {
		return err
	} else if !bytes.Equal(now, was) {
		return ErrChanged
	}
	temp, err := createTemp(name)
	if err != nil {
		return cause(err)
	}
	out := &File{temp, temp, name, name}
	defer out.Discard()
	if _, err := temp.Write(fixed); err != nil {
		return cause(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = temp.Chown(int(st.Uid), int(st.Gid)) // who may not give files away owns it then, as with an editor
	}
	return out.Finish(info.Mode().Perm())
}
