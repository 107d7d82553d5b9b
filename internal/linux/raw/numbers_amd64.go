package raw

const (
	sysSeccomp  = 317
	sysExecveat = 322
)
