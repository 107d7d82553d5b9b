package dockerfile

import (
	"cmp"
	"runtime"
	"strings"
)

// predefined are the ARGs that every build has before the first FROM; a stage gets them by naming them in an ARG.
func predefined(f *File, o Options) func(name string) (string, bool) {
	system, arch, variant := platform(runtime.GOOS + "/" + runtime.GOARCH)
	if system != "linux" {
		system = "linux" // where images are built
	}
	targetSystem, targetArch, targetVariant := system, arch, variant
	if o.Platform != "" {
		targetSystem, targetArch, targetVariant = platform(o.Platform)
	}
	values := [...][2]string{
		{"BUILDPLATFORM", joinPlatform(system, arch, variant)},
		{"BUILDOS", system},
		{"BUILDOSVERSION", ""},
		{"BUILDARCH", arch},
		{"BUILDVARIANT", variant},
		{"TARGETPLATFORM", joinPlatform(targetSystem, targetArch, targetVariant)},
		{"TARGETOS", targetSystem},
		{"TARGETOSVERSION", ""},
		{"TARGETARCH", targetArch},
		{"TARGETVARIANT", targetVariant},
		{"TARGETSTAGE", targetStage(f, o.Target)},
	}
	return func(name string) (string, bool) {
		for _, v := range values {
			if v[0] != name {
				continue
			}
			if given, ok := o.Args[name]; ok {
				return given, true
			}
			return v[1], true
		}
		return "", false
	}
}

// platform divides "linux/arm/v7"; 32-bit ARM without a variant is v7.
func platform(text string) (system, arch, variant string) {
	parts := strings.SplitN(text+"//", "/", 4)
	system, arch, variant = parts[0], parts[1], parts[2]
	if arch == "arm" {
		variant = cmp.Or(variant, "v7")
	}
	return system, arch, variant
}

func joinPlatform(system, arch, variant string) string {
	return strings.TrimRight(system+"/"+arch+"/"+variant, "/")
}

func targetStage(f *File, target string) string {
	if target == "" && len(f.Stages) > 0 {
		target = f.Stages[len(f.Stages)-1].Name
	}
	return cmp.Or(target, "default")
}
