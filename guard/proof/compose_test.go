package proof_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deckhand-engine/deckhand/guard/proof"
)

// project is compose.yaml as docker compose understands it: all variables are put in, and all is checked.
func project(t *testing.T, p *proof.Proof) *types.Project {
	t.Helper()
	content := files(t, p)[proof.ComposeName]
	got, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  t.TempDir(),
		Environment: types.Mapping{"HOME": "/wrong", "X": "wrong", "y": "wrong"},
		ConfigFiles: []types.ConfigFile{{Filename: proof.ComposeName, Content: content}},
	}, func(o *loader.Options) { o.SetProjectName("test", false) })
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	return got
}

// service is the only one.
func service(t *testing.T, p *types.Project, name string) types.ServiceConfig {
	t.Helper()
	if len(p.Services) != 1 {
		t.Fatalf("services %v", p.ServiceNames())
	}
	s, err := p.GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ofOurs compares what is written, and leaves out compose's defaults.
func ofOurs() cmp.Options {
	return cmp.Options{cmpopts.IgnoreFields(types.ContainerSpec{}, "Networks"), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(types.ServiceConfig{})}
}

func TestCompose(t *testing.T) {
	all := project(t, sample())
	want := types.ServiceConfig{Name: "redis"}
	want.ContainerSpec = types.ContainerSpec{
		Image: "redis:hardened", User: "9000:9000", ReadOnly: true, CapDrop: []string{"ALL"},
		SecurityOpt: []string{"no-new-privileges:true", "seccomp:./seccomp-runc.json"},
		Tmpfs:       types.StringList{"/run/redis:mode=0755,uid=9000,gid=9000", "/tmp:mode=1777,uid=9000,gid=9000"},
		Volumes: []types.ServiceVolumeConfig{{
			Type: "volume", Source: "redis-data", Target: "/var/lib/redis",
		}},
		Sysctls: types.Mapping{"net.ipv4.ip_unprivileged_port_start": "1024"},
	}
	want.Ports = []types.ServicePortConfig{{Mode: "ingress", HostIP: "127.0.0.1", Target: 6379, Published: "6379", Protocol: "tcp"}}
	if diff := cmp.Diff(want, service(t, all, "redis"), ofOurs()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"redis-data"}, all.VolumeNames()); diff != "" {
		t.Errorf("volumes: %s", diff)
	}
}

func TestComposeOfRoot(t *testing.T) {
	want := types.ServiceConfig{Name: "cron"}
	want.ContainerSpec = types.ContainerSpec{
		Image: "cron:hardened", User: "0:0", CapDrop: []string{"ALL"}, CapAdd: []string{"SETGID", "SETUID"},
		SecurityOpt: []string{"no-new-privileges:false"},
		Volumes: []types.ServiceVolumeConfig{{
			Type: "volume", Source: "cron-var-spool-cron", Target: "/var/spool/cron",
		}},
		Sysctls: types.Mapping{"net.core.somaxconn": "1024", "net.ipv4.ip_unprivileged_port_start": "1024"},
	}
	if diff := cmp.Diff(want, service(t, project(t, irreducible()), "cron"), ofOurs()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHostileCompose: the names come out as they went in, and nothing comes of them but names.
func TestHostileCompose(t *testing.T) {
	p := hostile()
	all := project(t, p)
	s := service(t, all, "a-b-c-home-x-y-script-alert-1-script-d-e-f-g-h-i-j-k-2j-s")
	owned := "uid=9000,gid=9000"
	tmpfs := types.StringList{p.Profile.Tmpfs[0].Path + ":mode=0700," + owned, "/~:mode=0755," + owned, "/-:mode=0755," + owned}
	if diff := cmp.Diff(tmpfs, s.Tmpfs); diff != "" {
		t.Errorf("tmpfs: %s", diff)
	}
	if diff := cmp.Diff(types.Mapping(p.Profile.Sysctls), s.Sysctls); diff != "" {
		t.Errorf("sysctls: %s", diff)
	}
	var targets, sources []string
	for _, v := range s.Volumes {
		targets, sources = append(targets, v.Target), append(sources, v.Source)
	}
	var want []string
	for _, v := range p.Profile.Volumes {
		want = append(want, v.Path)
	}
	if diff := cmp.Diff(want, targets); diff != "" {
		t.Errorf("volumes: %s", diff)
	}
	slices.Sort(sources)
	if diff := cmp.Diff(slices.Compact(sources), all.VolumeNames()); diff != "" || len(sources) != len(want) {
		t.Errorf("names of volumes: %q %s", sources, diff)
	}
	if !strings.Contains(string(files(t, p)[proof.ComposeName]), "# Left out, since a path with a colon cannot be named here: /a:b\n") {
		t.Error("what is left out is not said")
	}
	if !strings.Contains(string(files(t, p)[proof.ComposeName]), "# This engine gives capabilities to root only.") {
		t.Error("that capabilities have no effect is not said")
	}
}
