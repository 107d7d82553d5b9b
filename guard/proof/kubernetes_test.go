package proof_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

// manifest is kubernetes.yaml as kubectl reads it: a field that does not exist is an error.
func manifest(t *testing.T, p *proof.Proof) (*appsv1.Deployment, []corev1.PersistentVolumeClaim) {
	t.Helper()
	content := files(t, p)[proof.KubernetesName]
	documents := bytes.Split(content, []byte("\n---\n"))
	var deployment appsv1.Deployment
	last := len(documents) - 1
	if err := yaml.UnmarshalStrict(documents[last], &deployment); err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	claims := make([]corev1.PersistentVolumeClaim, last)
	for i, d := range documents[:last] {
		if err := yaml.UnmarshalStrict(d, &claims[i]); err != nil {
			t.Fatalf("%v\n%s", err, content)
		}
	}
	return &deployment, claims
}

// allowed asks the admission controller's own evaluator; the answer is why not.
func allowed(t *testing.T, d *appsv1.Deployment, level api.Level) []string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var why []string
	pod := &d.Spec.Template
	for _, r := range evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			why = append(why, r.ForbiddenReason)
		}
	}
	return why
}

// TestKubernetes holds the pod to what was proven, and to the standard.
func TestKubernetes(t *testing.T) {
	d, claims := manifest(t, sample())
	if why := allowed(t, d, api.LevelRestricted); len(why) > 0 {
		t.Errorf("restricted does not allow it: %q", why)
	}
	yes, no, id, onRootMismatch := true, false, int64(9000), corev1.FSGroupChangeOnRootMismatch
	pod := d.Spec.Template.Spec
	wantPod := &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &id, RunAsGroup: &id, FSGroup: &id, FSGroupChangePolicy: &onRootMismatch,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		Sysctls:        []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "1024"}},
	}
	if diff := cmp.Diff(wantPod, pod.SecurityContext); diff != "" {
		t.Errorf("pod: -want +got:\n%s", diff)
	}
	file := "redis-hardened.json"
	wantContainer := []corev1.Container{{
		Name: "redis", Image: "redis:hardened",
		Ports: []corev1.ContainerPort{{ContainerPort: 6379, Protocol: corev1.ProtocolTCP}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &file},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "redis-data", MountPath: "/var/lib/redis", SubPath: "kept"},
			{Name: "tmpfs-run-redis", MountPath: "/run/redis"},
			{Name: "tmpfs-tmp", MountPath: "/tmp"},
		},
	}}
	if diff := cmp.Diff(wantContainer, pod.Containers); diff != "" {
		t.Errorf("container: -want +got:\n%s", diff)
	}
	memory := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}
	wantVolumes := []corev1.Volume{
		{Name: "redis-data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "redis-data"},
		}},
		{Name: "tmpfs-run-redis", VolumeSource: memory},
		{Name: "tmpfs-tmp", VolumeSource: memory},
	}
	if diff := cmp.Diff(wantVolumes, pod.Volumes); diff != "" {
		t.Errorf("volumes: -want +got:\n%s", diff)
	}
	if len(claims) != 1 || claims[0].Name != "redis-data" || claims[0].Kind != "PersistentVolumeClaim" {
		t.Errorf("claims %+v", claims)
	}
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || *d.Spec.Replicas != 1 {
		t.Errorf("two pods could have the same files: %+v", d.Spec.Strategy)
	}
}

// TestRestricted: what the file says of itself is what the admission controller says.
func TestRestricted(t *testing.T) {
	tests := map[string]struct {
		change   func(*profile.Profile)
		baseline bool // at least that is met
		says     string
	}{
		"a user":           {func(p *profile.Profile) {}, true, ""},
		"low ports":        {func(p *profile.Profile) { p.Capabilities = []string{"CAP_NET_BIND_SERVICE"} }, true, ""},
		"a safe sysctl":    {func(p *profile.Profile) { p.Sysctls = map[string]string{"net.ipv4.tcp_syncookies": "0"} }, true, ""},
		"writable root":    {func(p *profile.Profile) { p.ReadWrite = true }, true, ""},
		"group root":       {func(p *profile.Profile) { p.User = "9000:0" }, true, ""},
		"an unsafe sysctl": {func(p *profile.Profile) { p.Sysctls = map[string]string{"net.core.somaxconn": "9"} }, false, "to allow: net.core.somaxconn"},
		"root":             {func(p *profile.Profile) { p.User = "0:0" }, true, "uid 0"},
		"escalation":       {func(p *profile.Profile) { p.Escalates = true }, true, "set-user-ID programs"},
		"raw sockets":      {func(p *profile.Profile) { p.Capabilities = []string{"CAP_NET_RAW"} }, false, "capabilities.add): CAP_NET_RAW"},
		"setuid":           {func(p *profile.Profile) { p.Capabilities = []string{"CAP_SETUID", "CAP_NET_BIND_SERVICE"} }, true, "capabilities.add): CAP_SETUID"},
		"root with files": {
			func(p *profile.Profile) { p.User, p.Volumes = "0:0", []profile.Volume{{Path: "/v", Content: true}} }, true,
			"capabilities.add): CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := sample()
			p.Profile.Volumes, p.Profile.Tmpfs = nil, nil
			tt.change(&p.Profile)
			d, _ := manifest(t, p)
			why := allowed(t, d, api.LevelRestricted)
			content := string(files(t, p)[proof.KubernetesName])
			if strings.Contains(content, "# This passes the Pod Security Standard \"restricted\".\n") != (len(why) == 0) {
				t.Errorf("the controller says %q, the file:\n%s", why, content)
			}
			if strings.Contains(content, "NOT pass") != (len(why) > 0) || !strings.Contains(content, tt.says) || (tt.says == "") != (len(why) == 0) {
				t.Errorf("the controller says %q, and the file not %q:\n%s", why, tt.says, content)
			}
			if why := allowed(t, d, api.LevelBaseline); (len(why) == 0) != tt.baseline {
				t.Errorf("baseline: %q", why)
			}
		})
	}
}

// TestHostileKubernetes holds all names to what the API server takes.
func TestHostileKubernetes(t *testing.T) {
	p := hostile()
	d, claims := manifest(t, p)
	names := []string{d.Name}
	volumes, claimed := map[string]bool{}, map[string]bool{}
	for _, c := range claims {
		names, claimed[c.Name] = append(names, c.Name), true
	}
	pod := d.Spec.Template.Spec
	for _, v := range pod.Volumes {
		names, volumes[v.Name] = append(names, v.Name), true
		if v.PersistentVolumeClaim != nil && !claimed[v.PersistentVolumeClaim.ClaimName] {
			t.Errorf("there is no claim %s", v.PersistentVolumeClaim.ClaimName)
		}
	}
	paths := map[string]bool{}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		names = append(names, c.Name)
		for _, m := range c.VolumeMounts {
			paths[m.MountPath] = true
			if !volumes[m.Name] {
				t.Errorf("there is no volume %s", m.Name)
			}
		}
	}
	for _, name := range names {
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			t.Errorf("%q: %q", name, wrong)
		}
	}
	if len(volumes) != len(pod.Volumes) || len(claimed) != len(claims) {
		t.Error("two volumes share a name")
	}
	for _, path := range []string{p.Profile.Tmpfs[0].Path, "/~", "/-", p.Profile.Volumes[0].Path, "/data", "/other"} {
		if !paths[path] {
			t.Errorf("%s is not mounted", path)
		}
	}
	for _, path := range []string{"/a:b", "/c:d"} {
		if paths[path] || !strings.Contains(string(files(t, p)[proof.KubernetesName]), "cannot be named here: "+path+"\n") {
			t.Errorf("%s: Kubernetes takes no colons, and that is to be said", path)
		}
	}
	want := []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "80"}, {Name: "net.ipv4.x$y", Value: p.Profile.Sysctls["net.ipv4.x$y"]}}
	if diff := cmp.Diff(want, pod.SecurityContext.Sysctls); diff != "" {
		t.Errorf("sysctls: -want +got:\n%s", diff)
	}
	if got := pod.InitContainers[0].Command; got[len(got)-1] != p.Profile.Volumes[0].Path {
		t.Errorf("the volume is filled by %q", got)
	}
}
