package kube

import (
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// Evaluate judges the pods of a manifest by the Pod Security Standards, as the admission controller does: the
// results of all checks of a level, passed or not, as they are at a version of Kubernetes.
func Evaluate(src guard.Source, lv api.LevelVersion) ([]policy.CheckResult, error) {
	evaluator, err := evaluator()
	if err != nil {
		return nil, err
	}
	tree, err := yamltree.Parse(src.Path, src.Data, yamltree.Options{Ordered: true})
	if err != nil {
		return nil, err
	}
	var results []policy.CheckResult
	for _, document := range tree.Documents() {
		workloads, err := find(document)
		if err != nil {
			return nil, err
		}
		for _, w := range workloads {
			results = append(results, evaluator.EvaluatePod(lv, &w.template.ObjectMeta, &w.template.Spec)...)
		}
	}
	return results, nil
}

var evaluator = sync.OnceValues(func() (policy.Evaluator, error) {
	return policy.NewEvaluator(policy.DefaultChecks(), nil)
})

// check is a check of the standards at their latest version.
type check struct {
	policy.VersionedCheck
	id    policy.CheckID
	level api.Level
}

// checks are all checks, those of the baseline first.
var checks = sync.OnceValue(func() []check {
	var all []check
	for _, level := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
		for _, c := range policy.DefaultChecks() {
			if c.Level == level {
				all = append(all, check{c.Versions[len(c.Versions)-1], c.ID, level})
			}
		}
	}
	return all
})

// verdict is a check that a part of a pod does not pass.
type verdict struct {
	check
	result policy.CheckResult
}

// judge asks the checks about a part of a pod. A check of the restricted level that repeats one of the baseline
// which failed already tells only what is left.
func judge(meta *metav1.ObjectMeta, specOf func(check) *corev1.PodSpec) []verdict {
	var failed []verdict
	for _, c := range checks() {
		spec := specOf(c)
		result := c.CheckPod(meta, spec)
		told := slices.ContainsFunc(failed, func(v verdict) bool { return slices.Contains(c.OverrideCheckIDs, v.id) })
		if told && c.id == restrictedCapabilities {
			result, told = c.CheckPod(meta, withoutForbidden(spec)), false
		}
		if !result.Allowed && !told {
			failed = append(failed, verdict{c, result})
		}
	}
	return failed
}

// The checks that need to be known by name.
const (
	restrictedCapabilities policy.CheckID = "capabilities_restricted"
	baselineCapabilities   policy.CheckID = "capabilities_baseline"
	hostPorts              policy.CheckID = "hostPorts"
	hostProbes             policy.CheckID = "hostProbesAndHostLifecycle"
	appArmor               policy.CheckID = "appArmorProfile"
)

// withoutForbidden is a pod whose containers add no capability that the baseline forbids.
func withoutForbidden(spec *corev1.PodSpec) *corev1.PodSpec {
	spec = spec.DeepCopy()
	for i := range spec.Containers {
		if s := spec.Containers[i].SecurityContext; s != nil && s.Capabilities != nil {
			s.Capabilities.Add = slices.DeleteFunc(s.Capabilities.Add, forbidden)
		}
	}
	return spec
}

// forbidden reports whether the baseline forbids to add a capability.
func forbidden(name corev1.Capability) bool {
	add := &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{name}}}
	versions := policy.CheckCapabilitiesBaseline().Versions
	return !versions[len(versions)-1].CheckPod(&metav1.ObjectMeta{}, &corev1.PodSpec{
		Containers: []corev1.Container{{SecurityContext: add}},
	}).Allowed
}

// violation is a verdict in our words.
func (v verdict) violation(at guard.Location) guard.Violation {
	return guard.Violation{Level: string(v.level), Reason: v.result.ForbiddenReason, Detail: v.result.ForbiddenDetail, Where: at}
}

// podViolations are those that no single container commits. Volumes, sysctls and namespaces are judged one by one,
// so that each is told with its place.
func (w workload) podViolations(all []container) []guard.Violation {
	var found []guard.Violation
	for _, part := range w.parts(all) {
		for _, v := range judge(part.meta, func(check) *corev1.PodSpec { return part.spec }) {
			found = append(found, v.violation(part.place(v)))
		}
	}
	return found
}

// bare is the pod without its containers, and without all that is judged one by one.
func (w workload) bare() *corev1.PodSpec {
	spec := &corev1.PodSpec{OS: w.template.Spec.OS, HostUsers: w.template.Spec.HostUsers}
	if s := w.template.Spec.SecurityContext; s != nil {
		security := *s
		security.Sysctls = nil
		spec.SecurityContext = &security
	}
	return spec
}

// containerViolations are those that one container commits. What the pod does wrong for all of them counts as done
// right here: it is told once, of the pod.
func (w workload) containerViolations(c container) []guard.Violation {
	bare, good := w.bare(), w.bare()
	yes := true
	good.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	pod := *bare
	bare.Containers, good.Containers = []corev1.Container{*c.spec}, []corev1.Container{*c.spec}
	meta := &metav1.ObjectMeta{Annotations: map[string]string{}}
	key := appArmorAnnotation + c.spec.Name
	if value, ok := w.template.Annotations[key]; ok {
		meta.Annotations[key] = value
	}
	verdicts := judge(meta, func(k check) *corev1.PodSpec {
		if !k.CheckPod(&metav1.ObjectMeta{}, &pod).Allowed {
			return good
		}
		return bare
	})
	found := make([]guard.Violation, len(verdicts))
	for i, v := range verdicts {
		found[i] = v.violation(w.containerPlace(c, v))
	}
	return found
}

// otherAnnotations are the pod's annotations but for those that speak of one of its containers.
func (w workload) otherAnnotations(all []container) map[string]string {
	others := map[string]string{}
	for key, value := range w.template.Annotations {
		name, ok := strings.CutPrefix(key, appArmorAnnotation)
		if !ok || !slices.ContainsFunc(all, func(c container) bool { return c.spec.Name == name }) {
			others[key] = value
		}
	}
	return others
}
