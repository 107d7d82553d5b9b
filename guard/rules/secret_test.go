package rules_test

import (
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

func TestSecrets(t *testing.T) {
	env := func(name, value string) *guard.Subject {
		s := subject(guard.KindDockerfile, nobody)
		s.Variables = []guard.Variable{{Name: name, Value: value, Where: line(3)}}
		return s
	}
	arg := func(name, value string) *guard.Subject {
		s := env(name, value)
		s.Variables[0].Arg = true
		return s
	}
	const value, warning, failure = "correct-horse-battery", "DH019 warning", "DH019 error"
	letters := strings.Repeat("a1B2", 10)
	jwt := "eyJhbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0In0" + "." + "c2lnbmF0dXJlLW9mLWl0"
	tests := cases{
		"arg with a value": {arg("NPM_TOKEN", value), warning, "ARG NPM_TOKEN"},
		"arg without":      {arg("NPM_TOKEN", ""), "DH019 info", "asks for a secret"},
		"another arg":      {arg("VERSION", ""), "", ""},
		"env":              {env("DB_PASSWORD", value), warning, "ENV DB_PASSWORD"},

		"AWS":           {env("X", "AKIA"+strings.ToUpper(letters[:16])), failure, "AWS access key"},
		"AWS's example": {env("X", "AKIAIOSFODNN7EXAMPLE"), "", ""},
		"GitHub":        {env("X", "ghp_"+letters[:36]), failure, "GitHub token"},
		"GitLab":        {env("X", "glpat-"+letters[:20]), failure, "GitLab token"},
		"Slack":         {env("X", "xoxb-"+letters[:24]), failure, "Slack token"},
		"a key":         {env("X", "-----BEGIN RSA PRIVATE KEY-----\nMII"), failure, "private key"},
		"a public key":  {env("X", "-----BEGIN PUBLIC KEY-----\nMII"), "", ""},
		"JWT":           {env("X", jwt), failure, "JWT"},
		"a URL":         {env("DATABASE_URL", "postgres://app:s3cret@db:5432/app"), warning, "URL with a password"},
		"no password":   {env("DATABASE_URL", "postgres://app@db:5432/app"), "", ""},
		"a variable":    {env("DATABASE_URL", "postgres://app:${PW}@db/app"), "", ""},
		"a path's @":    {env("U", "https://example.org/a:b@c"), "", ""},
	}
	for _, name := range []string{
		"PASSWORD", "MYSQL_ROOT_PASSWORD", "PGPASSWORD", "db_password", "dbPassword", "SPRING.DATASOURCE.PASSWORD", "SMTP_PASS",
		"DB_PWD", "API_KEY", "APIKEY", "STRIPE_SECRET", "GITHUB_TOKEN", "githubToken", "AWS_SECRET_ACCESS_KEY", "PRIVATE_KEY",
		"SSH_PRIVATE_KEY", "JWT_SECRET", "ENCRYPTION_KEY", "GPG_PASSPHRASE", "CLIENT_SECRET",
	} {
		tests["name "+name] = tests["env"]
		c := tests["env"]
		c.subject, c.text = env(name, value), name
		tests["name "+name] = c
	}
	for _, name := range []string{
		"PATH", "PWD", "OLDPWD", "GPG_KEY", "PUBLIC_KEY", "NEXT_PUBLIC_API_KEY", "PASSWORD_FILE", "DB_PASSWORD_FILE", "REGISTRY_AUTH_HTPASSWD_REALM", "TOKEN_URL",
		"SECRET_NAME", "AWS_ACCESS_KEY_ID", "PASSWORD_MIN_LENGTH", "TOKENIZERS_PARALLELISM", "MAX_TOKENS", "COMPASS", "BYPASS",
		"KEYBOARD", "SECRETARY", "PASS_THROUGH", "TOKEN_TTL", "AUTHOR", "MONKEY", "HOST_KEY_TYPE",
	} {
		c := tests["env"]
		c.subject, c.want, c.text = env(name, value), "", ""
		tests["no name "+name] = c
	}
	for _, v := range []string{
		"", "$DB_PASSWORD", "${DB_PASSWORD:-x}", "{{ .Values.password }}", "<password>", "/run/secrets/db", "true", "no", "xxxx", "****",
		"your-password-here", "REPLACE_ME", "file:///etc/x",
	} {
		c := tests["env"]
		c.subject, c.want, c.text = env("DB_PASSWORD", v), "", ""
		tests["value "+v] = c
	}
	for _, v := range []string{"changeme", "123456", "p/w", "a$b"} {
		c := tests["env"]
		c.subject = env("DB_PASSWORD", v)
		tests["value "+v] = c
	}
	numeric := tests["env"]
	numeric.subject, numeric.want, numeric.text = env("MAX_TOKEN", "4096"), "", ""
	tests["a number"] = numeric
	tests.run(t)
}

func TestSecretReaders(t *testing.T) {
	for kind, want := range map[guard.Kind]string{
		guard.KindDockerfile: "--mount=type=secret", guard.KindImage: "image's configuration", guard.KindCompose: "/run/secrets",
		guard.KindKubernetes: "secretKeyRef", guard.KindQuadlet: "Secret=", guard.KindUnit: "LoadCredential=",
	} {
		s := subject(kind, nobody)
		s.Variables = []guard.Variable{{Name: "TOKEN", Value: "correct-horse"}}
		cases{string(kind): {s, "DH019 warning", want}}.run(t)
	}
}
