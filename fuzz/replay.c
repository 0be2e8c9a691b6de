/* replay.c - a door without its fuzzer: every file of a corpus folder through it, one TAP case each. A file that
 * breaks a promise ends the program, and the cases that were planned and did not run count as failed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "door.h"

static int is_seed(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static uint8_t *read_all(const char *folder, const char *name, size_t *lenp)
{
	char path[4096];
	FILE *f;
	uint8_t *bytes = NULL;
	long len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rbe");
	if (!f)
		return NULL;
	/* Memory of exactly this length: a sanitizer sees the first byte that is read beyond it. */
	if (!fseek(f, 0, SEEK_END) && (len = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)) {
		bytes = malloc((size_t)len + !len);
		*lenp = bytes ? fread(bytes, 1, (size_t)len, f) : 0;
	}
	fclose(f);
	return bytes;
}

int main(int argc, char **argv)
{
	struct dirent **seeds;
	int n = argc == 2 ? scandir(argv[1], &seeds, is_seed, alphasort) : -1, bad = 0;

	if (n <= 0) {
		fprintf(stderr, "usage: %s FOLDER, with a seed in it\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		size_t len = 0;
		uint8_t *bytes = read_all(argv[1], seeds[i]->d_name, &len);

		if (bytes)
			LLVMFuzzerTestOneInput(bytes, len);
		bad |= !bytes;
		printf("%s %d - %s\n", bytes ? "ok" : "not ok", i + 1, seeds[i]->d_name);
		free(bytes);
		free(seeds[i]);
	}
	free(seeds);
	return bad;
}
