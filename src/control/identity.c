/* identity.c - see identity.h. The name in the extended attribute is random and not made from the path:
 * an image that was renamed keeps its name, and the next image at the old path must get another. */
#include "identity.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"
#include "log.h"

/* Berth's own name space: UUIDv5 of the DNS name space and "berth.io". */
static const uint8_t berth_space[16] = {0xcd, 0x84, 0x69, 0x7a, 0x78, 0x1a, 0x5e, 0xcc, 0x96, 0x82,
	0x9a, 0xa7, 0x6e, 0xa8, 0x8d, 0xa6};

/* --- UUIDs --- */

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch = (char)tolower((unsigned char)ch);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

bool uuid_parse(const char *text, uint8_t uuid[16])
{
	bool dashes = strlen(text) == UUID_TEXT - 1;
	uint8_t out[16];

	if (!dashes && strlen(text) != 32)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		int high, low;

		if (dashes && (i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	memcpy(uuid, out, sizeof(out));
	return true;
}

const char *uuid_text(const uint8_t uuid[16], char buf[UUID_TEXT])
{
	char *at = buf;

	for (unsigned i = 0; i < 16; i++)
		at += sprintf(
			at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
	return buf;
}

static void stamp(uint8_t uuid[16], unsigned version)
{
	uuid[6] = (uint8_t)(version << 4 | (uuid[6] & 0x0f)); /* RFC 9562 4.2 */
	uuid[8] = 0x80 | (uuid[8] & 0x3f);                    /* RFC 9562 4.1 */
}

int uuid_v5(uint8_t uuid[16], const uint8_t space[16], const void *name, size_t len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) &&
		  EVP_DigestUpdate(ctx, space, 16) && EVP_DigestUpdate(ctx, name, len) &&
		  EVP_DigestFinal_ex(ctx, digest, NULL);

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -ENOMEM;
	memcpy(uuid, digest, 16);
	stamp(uuid, 5);
	return 0;
}

int identity_of_ram(uint8_t uuid[16], const char *target, unsigned lun)
{
	char name[ISCSI_NAME_MAX + 32];
	int len = snprintf(name, sizeof(name), "ram %s %u", target, lun);

	return uuid_v5(uuid, berth_space, name, MIN((size_t)len, sizeof(name) - 1));
}

int identity_of_path(uint8_t uuid[16], const char *machine, const char *real_path)
{
	char name[PATH_MAX + 512];
	int len = snprintf(name, sizeof(name), "file %s %s", machine, real_path);

	return uuid_v5(uuid, berth_space, name, MIN((size_t)len, sizeof(name) - 1));
}

/* --- files --- */

/* machine_name - the machine's own identity, else (containers without one) its host name. */
static void machine_name(char *buf, size_t len)
{
	FILE *f = fopen("/etc/machine-id", "re");
	bool found = f && fgets(buf, (int)len, f);

	if (f)
		fclose(f);
	if (!found && gethostname(buf, len) < 0)
		buf[0] = '\0';
	buf[len - 1] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* attribute_read - true when the image has a name that can be read. */
static bool attribute_read(const char *path, uint8_t uuid[16])
{
	char text[UUID_TEXT];
	ssize_t n = getxattr(path, IDENTITY_XATTR, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	if (uuid_parse(text, uuid))
		return true;
	log_warn("%s: its attribute %s is not a UUID and is not used", path, IDENTITY_XATTR);
	return false;
}

/* attribute_write - a new name. Another server may have been faster: then its name is the image's. */
static bool attribute_write(const char *path, uint8_t uuid[16])
{
	char text[UUID_TEXT];

	if (RAND_bytes(uuid, 16) != 1)
		return false;
	stamp(uuid, 4);
	uuid_text(uuid, text);
	if (!setxattr(path, IDENTITY_XATTR, text, UUID_TEXT - 1, XATTR_CREATE))
		return true;
	return errno == EEXIST && attribute_read(path, uuid);
}

/* create - the sparse image that size= asks for. One that is there is left alone: whether it fits is
 * the backend's question. */
static int create(struct config_disk *d)
{
	struct stat st;
	int fd, r = 0;

	fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	if (ftruncate(fd, (off_t)d->size) < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		unlink(d->path);
	} else {
		d->made = true;
		d->made_dev = st.st_dev;
		d->made_ino = st.st_ino;
	}
	close(fd);
	return r;
}

/* is_untouched - the file that was made, in nobody's hands and without data. The lock is that of backend/file.c. */
static bool is_untouched(const struct config_disk *d, int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == d->made_dev && st.st_ino == d->made_ino &&
	       fcntl(fd, F_OFD_SETLK, &lock) == 0 && lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

void identity_undo(struct config *c)
{
	for (unsigned i = 0; i < c->n_disks; i++) {
		struct config_disk *d = &c->disks[i];
		int fd = d->made ? open(d->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;

		if (fd < 0)
			continue;
		if (is_untouched(d, fd))
			unlink(d->path);
		close(fd);
		d->made = false;
	}
}

static int fill_file(struct config_disk *d)
{
	char real[PATH_MAX], machine[256];
	int r = 0;

	if (d->size && !d->ro)
		r = create(d);
	if (r < 0)
		return r;
	if (d->has_uuid || attribute_read(d->path, d->uuid) ||
		(!d->ro && attribute_write(d->path, d->uuid)))
		return 0;
	if (!realpath(d->path, real))
		return -errno;
	machine_name(machine, sizeof(machine));
	return identity_of_path(d->uuid, machine, real);
}

int identity_fill(struct config *c, char *err, size_t err_len)
{
	for (unsigned i = 0; i < c->n_disks; i++) {
		struct config_disk *d = &c->disks[i];
		int r = 0;

		if (d->path)
			r = fill_file(d);
		else if (!d->has_uuid)
			r = identity_of_ram(d->uuid, c->targets[d->target], d->lun);
		if (r < 0) {
			snprintf(err, err_len, "%s: %s", d->text, strerror(-r));
			return r;
		}
		d->has_uuid = true;
	}
	return 0;
}
