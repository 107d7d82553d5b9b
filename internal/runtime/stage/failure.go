package stage

import "syscall"

// Failure is what went wrong in the child.
type Failure struct {
	Code  int           // 126 or 127 where the command could not be executed, else 0
	Path  string        // the command then
	What  string        // what was being done, with the path or name it was done to
	Errno syscall.Errno // why; 0 where What says it all
}

// Error joins what and why.
func (f *Failure) Error() string {
	if f.Errno == 0 {
		return f.What
	}
	return f.What + ": " + f.Errno.Error()
}

// Unwrap gives the errno, if there is one.
func (f *Failure) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}

// Marshal encodes the failure as a MsgError.
func (f *Failure) Marshal() []byte {
	c := &codec{buf: []byte{MsgError}}
	f.fields(c)
	return c.buf
}

// Unmarshal decodes a MsgError.
func (f *Failure) Unmarshal(b []byte) error {
	if len(b) == 0 || b[0] != MsgError {
		return syscall.EBADMSG
	}
	c := &codec{buf: b[1:], reading: true}
	f.fields(c)
	if c.bad {
		return syscall.EBADMSG
	}
	return nil
}

func (f *Failure) fields(c *codec) {
	errno := uint64(f.Errno)
	number(c, &f.Code)
	number(c, &errno)
	c.string(&f.Path)
	c.string(&f.What)
	f.Errno = syscall.Errno(errno)
}

// fail says what failed; nil where err is nil. An error that is a Failure already is kept, with what
// put before it.
func fail(what string, err error) error {
	switch e := err.(type) { //nolint:errorlint // nothing wraps here, and errors would be an import
	case nil:
		return nil
	case syscall.Errno:
		return &Failure{What: what, Errno: e}
	case *Failure:
		return &Failure{Code: e.Code, Path: e.Path, What: what + ": " + e.What, Errno: e.Errno}
	default:
		return &Failure{What: what + ": " + err.Error()}
	}
}
