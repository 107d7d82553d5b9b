package imagesource

import (
	"encoding/json"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/store"
)

func TestContainer(t *testing.T) {
	at := guard.Location{Path: "web"}
	usual := []guard.Grant{
		{Kind: guard.GrantNoEscalation, Value: "true", Where: at},
		{Kind: guard.GrantSysctl, Value: "net.ipv4.ip_unprivileged_port_start=0", Where: at},
	}
	for name, tc := range map[string]struct {
		options, user string
		want          guard.User
		grants        []guard.Grant
	}{
		"a name, never started": {
			`{"user":"app","network":"bridge"}`, "",
			guard.User{Spec: "app", Name: "app", UID: guard.Exactly(1234), GID: guard.Exactly(1234), Where: at},
			usual,
		},
		"a name, started": {
			`{"user":"app","network":"bridge"}`, "1234:1234",
			guard.User{Spec: "app", Name: "app", UID: guard.Exactly(1234), GID: guard.Exactly(1234), Where: at},
			usual,
		},
		"nobody, started": {
			`{"network":"none"}`, "0:0",
			guard.User{Name: "root", UID: guard.Exactly(0), GID: guard.Exactly(0), Where: at},
			usual,
		},
		"the image has changed since": {
			`{"user":"gone"}`, "77:88", guard.User{Spec: "gone", UID: guard.Exactly(77), GID: guard.Exactly(88), Where: at}, usual,
		},
		"everything that can be given": {
			`{"user":"0","network":"host","spec":{"CapAdd":["net_raw","CAP_SYS_ADMIN"],"CapDrop":["ALL"],"NewPrivileges":true,
			"SeccompUnconfined":true,"UnmaskSystemPaths":true,"ReadonlyRootfs":true,"Mounts":[
			{"destination":"/s","type":"bind","source":"/var/run/docker.sock"},{"destination":"/e","source":"/etc","options":["rbind","ro"]},
			{"destination":"/t","type":"tmpfs","source":"tmpfs"}]}}`, "",
			guard.User{Spec: "0", Name: "root", UID: guard.Exactly(0), GID: guard.Exactly(0), Where: at},
			[]guard.Grant{
				{Kind: guard.GrantCapability, Value: "NET_RAW", Where: at},
				{Kind: guard.GrantCapability, Value: "SYS_ADMIN", Where: at},
				{Kind: guard.GrantDropped, Value: "ALL", Where: at},
				{Kind: guard.GrantNamespace, Value: "network", Where: at},
				{Kind: guard.GrantEscalation, Value: "true", Where: at},
				{Kind: guard.GrantUnconfined, Value: "seccomp", Where: at},
				{Kind: guard.GrantUnconfined, Value: "systempaths", Where: at},
				{Kind: guard.GrantReadOnlyRoot, Value: "true", Where: at},
				{Kind: guard.GrantMount, Value: "/var/run/docker.sock", Where: at},
				{Kind: guard.GrantReadOnlyMount, Value: "/etc", Where: at},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := stored(t, onTop(t, "app"))
			img, err := st.Image(t.Context(), "corp/app:v1")
			if err != nil {
				t.Fatal(err)
			}
			c := &store.Container{
				Name: "web", Image: "corp/app:v1", ImageID: img.ID.String(), Command: []string{"/app", "serve"},
				Options: json.RawMessage(tc.options),
			}
			lock, err := st.CreateContainer(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Unlock()
			if tc.user != "" {
				if err := st.SetState(c.ID, store.State{Status: store.StatusRunning, User: tc.user}); err != nil {
					t.Fatal(err)
				}
			}
			s := New(Options{Store: st})
			got, err := s.Container(t.Context(), "web")
			if err != nil || got == nil {
				t.Fatal(got, err)
			}
			if d := gocmp.Diff(tc.want, got.User); d != "" {
				t.Error(d)
			}
			if d := gocmp.Diff(tc.grants, got.Grants, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
			if got.Kind != guard.KindContainer || got.Name != "container web" || got.Image != "corp/app:v1" || got.Command.Args[1] != "serve" {
				t.Errorf("subject %+v", got)
			}
			if byID, err := s.Container(t.Context(), c.ID[:12]); err != nil || byID == nil {
				t.Errorf("by id: %v, %v", byID, err)
			}
		})
	}
	for _, s := range []*Source{New(Options{}), New(Options{Store: stored(t, onTop(t, "app"))})} {
		if got, err := s.Container(t.Context(), "corp/app:v1"); got != nil || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
}
