package rules

import "github.com/deckhand-engine/deckhand/guard"

func secret() Rule {
	return Rule{
		ID: "DH019", Name: "secret", Severity: guard.Warning, Check: checkSecret,
		Title: "A secret stands in an environment variable or a build argument",
	}
}

func checkSecret(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, v := range s.Variables {
		f := guard.Finding{Where: v.Where, Detail: secretReader(s.Kind, v.Arg), Hint: secretHint(s.Kind)}
		what := variableWord(s.Kind, v.Arg) + short(v.Name)
		shape := secretShape(v.Value)
		switch {
		case shape != "":
			f.Severity, f.Message = guard.Error, what+" holds "+shape
		case hasPassword(v.Value):
			f.Message = what + " holds a URL with a password"
		case !secretName(v.Name):
			continue
		case v.Arg && v.Value == "":
			f.Severity, f.Message = guard.Info, what+" asks for a secret as a build argument"
		case !literalSecret(v.Name, v.Value):
			continue
		default:
			f.Message = what + " holds a secret"
		}
		found = append(found, f)
	}
	return found
}

func variableWord(kind guard.Kind, arg bool) string {
	switch {
	case arg:
		return "ARG "
	case kind == guard.KindDockerfile:
		return "ENV "
	}
	return "the variable "
}

// secretReader says who can read it.
func secretReader(kind guard.Kind, arg bool) string {
	switch kind {
	case guard.KindDockerfile, guard.KindImage, guard.KindContainer:
		if arg {
			return "build arguments stay in the image's history, for everybody who can pull it"
		}
		return "it stays in the image's configuration, for everybody who can pull it and every process in it"
	default:
		return "whoever may read this file or inspect the container has it, and so does every process in it"
	}
}

func secretHint(kind guard.Kind) string {
	switch kind {
	case guard.KindDockerfile, guard.KindImage, guard.KindContainer:
		return "at build time: RUN --mount=type=secret; at run time: a file that is mounted. A secret that was published is to be changed"
	case guard.KindKubernetes:
		return "valueFrom: secretKeyRef, or better a mounted Secret"
	case guard.KindCompose:
		return "secrets:, which mounts a file in /run/secrets"
	case guard.KindQuadlet:
		return "Secret= of a podman secret"
	default:
		return "LoadCredential= or a file that only the service may read"
	}
}
