package rules_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// built is the subject of a Dockerfile with steps, one a line from line 2.
func built(u guard.User, steps ...guard.Step) *guard.Subject {
	s := subject(guard.KindDockerfile, u)
	for i, step := range steps {
		step.Where = line(2 + i)
		s.Steps = append(s.Steps, step)
	}
	return s
}

func install(packages ...string) guard.Step { return guard.Step{Installs: packages} }

func TestSteps(t *testing.T) {
	apt := guard.Step{Manager: "apt-get", Installs: []string{"curl"}}
	cases{
		"harmless packages":     {built(nobody, install("curl", "ca-certificates", "supervisor", "openssh-client")), "", ""},
		"sudo":                  {built(nobody, install("sudo")), "DH010 warning", "installs sudo"},
		"doas":                  {built(nobody, install("doas=6.8-r1")), "DH010 warning", "doas"},
		"sudo, removed":         {built(nobody, install("sudo"), guard.Step{Removes: []string{"sudo"}}), "", ""},
		"sudo, deleted":         {built(nobody, install("sudo"), guard.Step{Removes: []string{"/usr/bin/sudo"}}), "", ""},
		"sudo without password": {built(nobody, guard.Step{Installs: []string{"sudo"}, Sudoers: true}), "DH010 error", "without a password"},
		"sudo in two steps":     {built(nobody, install("sudo"), guard.Step{Sudoers: true}), "DH010 warning, DH010 error", ""},
		"setuid":                {built(nobody, guard.Step{Setuid: []string{"/usr/bin/x"}}), "DH011 warning", "/usr/bin/x"},

		"tools":                    {built(nobody, install("curl", "nmap", "socat")), "DH021 warning", "nmap, socat are in the final image"},
		"tool with a version":      {built(nobody, install("nmap=7.94-r0")), "DH021 warning", "nmap is in"},
		"tools, removed":           {built(nobody, guard.Step{Installs: []string{"nmap"}, Removes: []string{"nmap"}}), "", ""},
		"one of two removed":       {built(nobody, install("gdb", "strace"), guard.Step{Removes: []string{"gdb"}}), "DH021 warning", "strace is in"},
		"removed before":           {built(nobody, guard.Step{Removes: []string{"nmap"}}, install("nmap")), "DH021 warning", ""},
		"compiler":                 {built(nobody, install("build-essential", "gcc-12")), "DH021 info", "gcc-12"},
		"compiler and tool":        {built(nobody, install("gcc", "nc")), "DH021 info, DH021 warning", ""},
		"compiler in a group":      {built(nobody, guard.Step{Installs: []string{"gcc", "musl-dev"}, Removes: []string{".build-deps"}}), "", ""},
		"a package called gcc-doc": {built(nobody, install("gcc-doc", "libgcc-s1")), "", ""},

		"package manager":          {built(nobody, apt, apt), "DH020 info", "apt-get stays"},
		"package manager, removed": {built(nobody, apt, guard.Step{Manager: "apt-get", Removes: []string{"apt"}}), "", ""},
		"apk, removed":             {built(nobody, guard.Step{Manager: "apk"}, guard.Step{Removes: []string{"apk-tools"}}), "", ""},
		"pip":                      {built(nobody, guard.Step{Manager: "pip"}), "", ""},
	}.run(t)
}

func TestWritableCode(t *testing.T) {
	app := named("1000", 1000, 1000)
	app.Name = "app"
	gives := func(owner, path string) guard.Step {
		return guard.Step{Gives: []guard.Ownership{{Path: path, Owner: owner, Recursive: true}}}
	}
	copied := func(owner, path string) guard.Step {
		return guard.Step{Gives: []guard.Ownership{{Path: path, Owner: owner, Recursive: true, Copy: true}}}
	}
	root := guard.User{Where: line(9)}
	becomesApp := with(built(root, gives("app:app", "/app")), func(s *guard.Subject) {
		s.Drop = &guard.Drop{By: "gosu", Spec: "app:app", To: guard.Exactly(1000), Certain: true}
	})
	const warning = "DH018 warning"
	cases{
		"chown -R /app":          {built(app, gives("app:app", "/app")), warning, "gives /app to app:app"},
		"by number":              {built(app, gives("1000", "/usr/src/app")), warning, ""},
		"copy":                   {built(app, copied("1000:1000", "/srv")), warning, ""},
		"copy, relative":         {built(app, copied("app", ".")), warning, ""},
		"the web's pages":        {built(app, copied("app", "/usr/share/nginx/html")), warning, ""},
		"to somebody else":       {built(app, copied("www-data", "/app")), "", ""},
		"to a group":             {built(app, gives(":app", "/app")), "", ""},
		"data":                   {built(app, gives("app", "/data"), gives("app", "/var/lib/app"), gives("app", "/app/logs"), gives("app", "/opt/x/data"), gives("app", "/opt/jenkins_home")), "", ""},
		"caches and pid files":   {built(app, gives("app", "/var/cache/nginx"), gives("app", "/run/app"), gives("app", "/var/run/nginx.pid"), gives("app", "/app/.cache"), gives("app", "/app/.npm")), "", ""},
		"home":                   {built(app, gives("app", "/home/app"), gives("app", "/home/app/.config"), gives("app", "$HOME")), "", ""},
		"code at home":           {built(app, copied("app", "/home/app/server")), warning, ""},
		"settings at home":       {built(app, copied("app", "/home/app/.profile")), "", ""},
		"the directory alone":    {built(app, guard.Step{Gives: []guard.Ownership{{Path: "/app", Owner: "app"}}}), "DH018 info", ""},
		"code and data":          {built(app, guard.Step{Gives: []guard.Ownership{{Path: "/data", Owner: "app", Recursive: true}, {Path: "/app", Owner: "app", Recursive: true}}}), warning, "gives /app to"},
		"root":                   {built(root, gives("app", "/app")), "DH001 error", ""},
		"root becomes app":       {becomesApp, "DH018 warning, DH009 warning", ""},
		"777 code":               {built(app, guard.Step{Opens: []string{"/app"}}), warning, "/app writable for every user"},
		"777 data":               {built(app, guard.Step{Opens: []string{"/data"}}), "DH018 info", ""},
		"777, root":              {built(root, guard.Step{Opens: []string{"/data", "/opt/x"}}), "DH018 warning, DH001 error", ""},
		"uid chosen by useradd":  {built(guard.User{Spec: "app", Name: "app", UID: guard.ID{Least: 1000, Most: 60000}, GID: guard.AnyID(), Where: line(9)}, copied("app", "/app")), "DH018 warning, DH007 info", ""},
		"user unknown, the same": {built(unknown("app", "offline"), copied("app", "/app")), "DH018 warning, DH026 info", ""},
	}.run(t)
}

func TestContents(t *testing.T) {
	image := func(c guard.Contents) *guard.Subject {
		s := subject(guard.KindImage, nobody)
		s.Contents = &c
		return s
	}
	files := func(paths ...string) (found []guard.File) {
		for _, p := range paths {
			found = append(found, guard.File{Path: p})
		}
		return found
	}
	hardened := image(guard.Contents{Setuid: files("/usr/bin/sudo", "/usr/bin/su", "/opt/x")})
	hardened.Grants = []guard.Grant{{Kind: guard.GrantNoEscalation, Value: "true"}}
	ofRoot := image(guard.Contents{Writable: files("/app/x")})
	ofRoot.User = named("0", 0, 0)
	cases{
		"nothing":             {image(guard.Contents{}), "", ""},
		"the usual":           {image(guard.Contents{Setuid: files("/usr/bin/su", "/usr/bin/passwd")}), "DH011 info", "the distribution's own"},
		"own ones first":      {image(guard.Contents{Setuid: files("/usr/bin/su", "/opt/x")}), "DH011 info", "2 setuid, setgid or privileged programs: /opt/x, /usr/bin/su"},
		"a capability":        {image(guard.Contents{Setuid: []guard.File{{Path: "/app", Capabilities: "cap_net_raw"}}}), "DH011 info", "/app (cap_net_raw)"},
		"ping's capability":   {image(guard.Contents{Setuid: []guard.File{{Path: "/bin/ping", Capabilities: "cap_net_raw"}}}), "DH011 info", "all of them"},
		"sudo":                {image(guard.Contents{Setuid: files("/usr/bin/sudo")}), "DH010 warning", "holds /usr/bin/sudo"},
		"with no_new_privs":   {hardened, "", ""},
		"package manager":     {image(guard.Contents{Managers: []string{"/usr/bin/apt-get"}}), "DH020 info", "/usr/bin/apt-get"},
		"tools":               {image(guard.Contents{Tools: []string{"/usr/bin/nmap", "/usr/bin/gcc"}}), "DH021 info, DH021 warning", ""},
		"writable code":       {image(guard.Contents{Writable: files("/app/server.js")}), "DH018 warning", "/app/server.js"},
		"writable, and root":  {ofRoot, "DH002 error", ""},
		"a list that is long": {image(guard.Contents{Writable: files("/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8")}), "DH018 warning", "/6 and 2 more"},
	}.run(t)
}

func TestCommands(t *testing.T) {
	starting := func(args ...string) *guard.Subject {
		s := subject(guard.KindDockerfile, nobody)
		s.Command = guard.Command{Args: args, Where: line(9)}
		return s
	}
	shell := func(text string) *guard.Subject { return starting("/bin/sh", "-c", text) }
	unit := starting("/usr/sbin/cron", "-f")
	unit.Kind = guard.KindUnit
	const warning = "DH023 warning"
	cases{
		"cron":               {starting("/usr/sbin/cron", "-f"), warning, "supercronic"},
		"crond":              {starting("crond", "-f"), warning, "as uid 1000 it fails"},
		"busybox crond":      {starting("busybox", "crond", "-f"), warning, ""},
		"sshd":               {starting("/usr/sbin/sshd", "-D"), warning, "exec"},
		"behind tini":        {starting("/sbin/tini", "--", "cron", "-f"), warning, ""},
		"behind dumb-init":   {starting("dumb-init", "crond"), warning, ""},
		"in a shell's line":  {shell("service cron start && exec node server.js"), warning, ""},
		"an init script":     {shell("/etc/init.d/ssh start; tail -f /dev/null"), warning, "sshd"},
		"with an assignment": {shell("TZ=UTC exec crond -f"), warning, ""},
		"in the background":  {shell("(crond) & nginx"), warning, ""},
		"bash -lc":           {starting("bash", "-lc", "crond -f"), warning, ""},
		"systemd":            {starting("/lib/systemd/systemd"), warning, ""},
		"dockerd":            {starting("dockerd"), warning, ""},
		"supercronic":        {starting("supercronic", "/etc/crontab"), "", ""},
		"an argument only":   {starting("node", "cron"), "", ""},
		"in a word":          {shell("echo cron; node crond.js"), "", ""},
		"nginx":              {starting("nginx", "-g", "daemon off;"), "", ""},
		"nothing":            {starting(), "", ""},
		"a wrapper alone":    {starting("tini", "--"), "", ""},
		"on the host":        {unit, "", ""},
	}.run(t)
}
