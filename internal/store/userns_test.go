package store

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// singleIDNamespace maps root to whoever runs the test.
func singleIDNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
}

func singleID(t *testing.T, root string) {
	s, err := Open(root, Options{Rootless: true, SingleID: true})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, hdr := range []tar.Header{
		{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etc/shadow", Mode: 0o640, Gid: 42},
		{Name: "home", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 1000, Gid: 1000},
		{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
		{Name: "su", Mode: 0o4755},
	} {
		if err := tw.WriteHeader(&hdr); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := s.Import(t.Context(), &buf, dockerspec.DockerOCIImage{})
	if err != nil {
		t.Fatal(err)
	}
	img = tag(t, s, "app", img)
	dir := s.LayerDir(imageLayers(t, s, img)[0])
	st, err := os.Stat(filepath.Join(dir, "su"))
	if err != nil || st.Mode()&os.ModeSetuid == 0 {
		t.Errorf("su: %v, %v", st.Mode(), err)
	}
	for name, there := range map[string]bool{"etc/shadow": true, "home": true, "null": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustBeSound(t, s)

	// Where ids must be kept, the first that cannot is an error that says what to do.
	strict, err := Open(root+"/strict", Options{Rootless: true})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	tw = tar.NewWriter(&archive)
	if err := tw.WriteHeader(&tar.Header{Name: "home", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 1000}); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = strict.Import(t.Context(), &archive, dockerspec.DockerOCIImage{})
	wantError(t, err, syscall.EINVAL, `"home"`, "set owner 1000:0", "/etc/subuid")
}
