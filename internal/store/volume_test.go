package store

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func volumeNames(t *testing.T, s *Store) []string {
	t.Helper()
	all, err := s.Volumes()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range all {
		names = append(names, v.Name)
	}
	return names
}

func TestVolumes(t *testing.T) {
	s := openTest(t)
	if got := volumeNames(t, s); got != nil {
		t.Errorf("there are %v", got)
	}
	anonymous := &Volume{}
	for _, v := range []*Volume{{Name: "web"}, {Name: "data", Labels: map[string]string{"a": "b"}}, anonymous} {
		if err := s.CreateVolume(v); err != nil {
			t.Fatal(err)
		}
	}
	if !anonymous.Anonymous || !isSHA256(anonymous.Name) {
		t.Errorf("%+v", anonymous)
	}
	// One that is there stays as it is.
	if err := os.WriteFile(s.VolumeDir("data")+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateVolume(&Volume{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	v, err := s.Volume("data")
	if err != nil {
		t.Fatal(err)
	}
	want := &Volume{Name: "data", Created: v.Created, Labels: map[string]string{"a": "b"}}
	if diff := cmp.Diff(want, v); diff != "" || v.Created.IsZero() {
		t.Errorf("%s %v", diff, v.Created)
	}
	// What lies there and is none does not count.
	if err := os.Mkdir(s.path(volumesDir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	names := []string{anonymous.Name, "data", "web"}
	slices.Sort(names)
	if diff := cmp.Diff(names, volumeNames(t, s)); diff != "" {
		t.Error(diff)
	}
	files, err := s.TakeVolume("data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Volume("data"); !errors.Is(err, ErrNotFound) || err.Error() != "get data: no such volume" {
		t.Errorf("taken: %v", err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.TakeVolume("data"); !errors.Is(err, ErrNotFound) {
		t.Errorf("taken twice: %v", err)
	}
	mustBeSound(t, s)
}

func TestVolumeNames(t *testing.T) {
	s := openTest(t)
	for name, want := range map[string]string{
		"d":     "volume name is too short, names should be at least two alphanumeric characters",
		"../up": `create ../up: "../up" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
		"..":    `create ..: ".." includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
		"a b":   `create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
	} {
		if err := s.CreateVolume(&Volume{Name: name}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Volume(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckVolumeName(strings.Repeat("a", 201)); err == nil {
		t.Error("a name without end is allowed")
	}
}

// A record that cannot be read does not take the files away.
func TestVolumeDamaged(t *testing.T) {
	s := openTest(t)
	if err := s.CreateVolume(&Volume{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(volumesDir, "data", volumeFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := s.Volume("data")
	if err != nil || v.Name != "data" || v.Anonymous {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestVolumeLocks(t *testing.T) {
	s := openTest(t)
	if err := s.CreateVolume(&Volume{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	one, err := s.LockVolume(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.LockVolume(soon, "data"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locked twice: %v", err)
	}
	one.Unlock()
	one.Unlock()
	two, err := s.LockVolume(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	two.Unlock()
	shared, err := s.LockVolumes(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Unlock()
	if _, err := s.LockVolumes(soon, true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("removed meanwhile: %v", err)
	}
	if _, err := s.LockVolume(t.Context(), "nosuch"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("missing: %v", err)
	}
}
