package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FieldError is a resource of a container that this machine, or this user, cannot have.
type FieldError struct {
	Field string // below linux.resources in config.json, as memory.limit
	Why   string
	Err   error // the kernel's; may be nil
}

// Error names the field and says why.
func (e *FieldError) Error() string {
	if e.Err == nil {
		return "linux.resources." + e.Field + ": " + e.Why
	}
	return "linux.resources." + e.Field + ": " + e.Why + ": " + e.Err.Error()
}

// Unwrap gives the kernel's error.
func (e *FieldError) Unwrap() error { return e.Err }

// Reason is the error without the field's name.
func (e *FieldError) Reason() error {
	if e.Err == nil {
		return errors.New(e.Why)
	}
	return fmt.Errorf("%s: %w", e.Why, e.Err)
}

// Undelegated reports whether the machine has the resource, but not for this user.
func (e *FieldError) Undelegated() bool {
	return errors.Is(e.Err, fs.ErrPermission) || errors.Is(e.Err, unix.EROFS)
}

// refuse is a FieldError without one of the kernel's.
func refuse(field, format string, args ...any) error {
	return &FieldError{Field: field, Why: fmt.Sprintf(format, args...)}
}

// absence is what it means that a setting has no file.
type absence int

const (
	absentRefused     absence = iota // the resource cannot be had
	absentFine                       // there is nothing to limit
	absentWithoutSwap                // there is nothing to limit if the machine has no swap in use
)

// setting is one value of one resource.
type setting struct {
	controller string // "" for files that every group has
	v1         bool
	field      string  // of config.json, below linux.resources
	writes     []write // the first whose file exists
	absent     absence
	notAbove   bool   // writes nothing: the file's number must not be above the value
	exact      bool   // a value that the kernel changes is refused
	within     string // file of the group above: its list has all that the value lists
}

// write is a file of a group and what goes into it.
type write struct{ file, value string }

// put carries the setting out in a group's directory.
func (s *setting) put(dir string) error {
	for _, w := range s.writes {
		err := s.one(filepath.Join(dir, w.file), w.value)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return s.refused(w, err)
		}
		return s.kept(filepath.Join(dir, w.file), w.value)
	}
	if s.absent == absentFine || s.absent == absentWithoutSwap && !swapInUse() {
		return nil
	}
	names := make([]string, len(s.writes))
	for i, w := range s.writes {
		names[i] = w.file
	}
	return refuse(s.field, "this machine's cgroups have no %s", strings.Join(names, " or "))
}

func (s *setting) one(path, value string) error {
	if s.notAbove {
		return notAbove(path, value)
	}
	if s.within != "" {
		if err := s.has(filepath.Join(filepath.Dir(filepath.Dir(path)), s.within), value); err != nil {
			return err
		}
	}
	return writeFile(path, value)
}

// has refuses a list with what the machine lacks. Version 2 would take it, and then use everything.
func (s *setting) has(path, want string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil //nolint:nilerr // an older kernel: it checks itself
	}
	have := strings.TrimSpace(string(b))
	if all, ok := parseList(have); ok {
		if list, ok := parseList(want); ok && !list.within(all) {
			return refuse(s.field, "%s is not available: there is %s", want, have)
		}
	}
	return nil
}

// kept looks whether the kernel has kept to a value.
func (s *setting) kept(path, value string) error {
	if !s.exact {
		return nil
	}
	b, err := os.ReadFile(path)
	if got := strings.TrimSpace(string(b)); err == nil && got != value {
		return refuse(s.field, "the kernel makes %s of %s", got, value)
	}
	return err
}

// refused explains the kernel's error.
func (s *setting) refused(w write, err error) error {
	if f, ok := errors.AsType[*FieldError](err); ok {
		return f
	}
	if s.notAbove {
		return &FieldError{Field: s.field, Why: "refused", Err: err}
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	why := "the kernel refuses " + strconv.Quote(w.value) + " in " + w.file
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		why = "this user may not write " + w.file
	case errors.Is(err, unix.ERANGE):
		why = w.value + " is out of the range of " + w.file
	case errors.Is(err, unix.EBUSY) && s.controller == "memory":
		why = "the group uses more memory than " + w.value + " bytes, and the kernel cannot take it back"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		why = "no such device in " + strconv.Quote(w.value)
	}
	return &FieldError{Field: s.field, Why: why, Err: err}
}

// notAbove is memory.checkBeforeUpdate.
func notAbove(path, limit string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	used, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if most, err := strconv.ParseInt(limit, 10, 64); err == nil && used > most {
		return fmt.Errorf("a limit of %d bytes is below the %d that are in use", most, used)
	}
	return nil
}

// swapInUse reports whether the machine swaps at all.
func swapInUse() bool {
	b, err := os.ReadFile("/proc/swaps")
	return err != nil || strings.Count(string(b), "\n") > 1 // the first line is a heading
}

// putAll carries settings out, where dirOf has their directory. Some depend on each other, as a quota on the period
// and memory on memory with swap: what the kernel refuses is tried again after the others.
func putAll(list []setting, dirOf func(*setting) string) error {
	for len(list) > 0 {
		var again []setting
		var first error
		for i := range list {
			err := list[i].put(dirOf(&list[i]))
			if err == nil {
				continue
			}
			if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EBUSY) {
				return err
			}
			again = append(again, list[i])
			if first == nil {
				first = err
			}
		}
		if len(again) == len(list) {
			return first
		}
		list = again
	}
	return nil
}
