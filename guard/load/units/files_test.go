package units_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/units"
)

// files makes a directory of them.
func files(t *testing.T, content map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range content {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// read loads a file of the directory.
func read(t *testing.T, name string) ([]*guard.Subject, error) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return units.Load(t.Context(), guard.Source{Path: name, File: name, Data: data}, guard.Env{Images: images{}})
}

func TestDropIns(t *testing.T) {
	files(t, map[string]string{
		"web.service":                   "[Service]\nUser=a\nExecStart=/bin/web\n",
		"web.service.d/10-first.conf":   "[Service]\nUser=root\n",
		"web.service.d/20-second.conf":  "[Service]\nUser=\nUser=1000\nNoNewPrivileges=yes\n",
		"web.service.d/README":          "[Service]\nUser=root\n",
		"lone.service.d/x.conf":         "[Service]\nUser=root\n",
		"silent.service.d/x.conf":       "[Service]\nRestart=always\n",
		"app.container":                 "[Container]\nImage=app\n",
		"app.container.d/x.conf":        "[Container]\nUser=0\n",
		"broken.service":                "[Service]\nExecStart=x\n",
		"broken.service.d/x.conf":       "[Service\n",
		"far.container.d/x.conf":        "[Container]\nPodmanArgs=--privileged\n",
		"directory.service":             "[Service]\nExecStart=x\n",
		"directory.service.d/x.conf/no": "",
	})
	for name, want := range map[string][]string{
		"web.service":                  {"service web: uid 1000 @3:6", "  no-new-privs true @4:17"},
		"web.service.d/10-first.conf":  {"service web: uid 1000 @3:6", "  no-new-privs true @4:17"},
		"lone.service.d/x.conf":        {"service lone: uid 0 @2:6"},
		"silent.service.d/x.conf":      nil,
		"app.container":                {"container app: uid 0 @2:6"},
		"far.container.d/x.conf":       {"container far: uid 1 to 2147483647 by the file that this extends @1:1", "  privileged true @2:12"},
		"directory.service":            {"service directory: uid 0 @1:1"},
		"web.service.d/20-second.conf": {"service web: uid 1000 @3:6", "  no-new-privs true @4:17"},
	} {
		subjects, err := read(t, name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, describeAll(subjects)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	subjects, err := read(t, "web.service")
	if err != nil || subjects[0].User.Where.Path != "web.service.d/20-second.conf" || subjects[0].UserSlot != nil {
		t.Errorf("the user is at %v, with the slot %v", subjects[0].User.Where, subjects[0].UserSlot)
	}
	var syntax *guard.SyntaxError
	if _, err := read(t, "broken.service"); err == nil || errors.As(err, &syntax) || !strings.Contains(err.Error(), "x.conf: line 1") {
		t.Errorf("a broken drop-in: %v", err)
	}
}

func TestFilesBeside(t *testing.T) {
	files(t, map[string]string{
		"q/web.container": "[Container]\nImage=web.image\nPod=all.pod\n",
		"q/web.image":     "[Image]\nImage=app\n",
		"q/all.pod":       "[Pod]\nNetwork=host\nVolume=/etc:/etc\n",
		"q/own.container": "[Container]\nImage=own.build\nPod=../all.pod\n",
		"q/own.build":     "[Build]\nImageTag=own\nFile=Containerfile\nSetWorkingDirectory=src\n",
		"q/bad.container": "[Container]\nImage=bad.image\n",
		"q/bad.image":     "[Image\n",
	})
	subjects, err := read(t, "q/web.container")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"container web: uid 1000 @2:7", "  mount /etc @3:8", "  namespace network @2:9"}
	if diff := cmp.Diff(want, describeAll(subjects)); diff != "" {
		t.Error(diff)
	}
	if s := subjects[0]; s.Image != "app" || s.Grants[0].Where.Path != "q/all.pod" {
		t.Errorf("the image is %s, the grant at %v", s.Image, s.Grants[0].Where)
	}
	subjects, err = read(t, "q/own.container")
	if err != nil || subjects[0].Build != "q/src/Containerfile" || len(subjects[0].Grants) != 0 {
		t.Errorf("subject is %+v, %v", subjects[0], err)
	}
	if subjects, err = read(t, "q/bad.container"); err != nil || subjects[0].User.Unknown == "" {
		t.Errorf("subject is %+v, %v", subjects[0], err)
	}
}
