/* mode.h - mode pages: values, and what of them is kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lu;

struct mode_page {
	uint8_t code, sub;
	uint8_t len; /* with its header of two bytes, or of four where there is a subpage code */
	void (*fill)(const struct lu *l, uint8_t *p);
	bool (*on)(const struct lu *l); /* NULL: always there */
};
enum { MODE_SPF = 0x40 };

enum mode_values { MODE_CURRENT, MODE_CHANGEABLE, MODE_DEFAULT, MODE_SAVED };

/* mode_page - NULL: the unit has no such page. */
const struct mode_page *mode_page(const struct lu *l, uint8_t code, uint8_t sub);
/* mode_fill - all `len` bytes of it. */
void mode_fill(const struct lu *l, const struct mode_page *m, enum mode_values v, uint8_t *p);
/* mode_take - the LU_ bits that a page in a list of MODE SELECT asks for. */
uint32_t mode_take(const struct mode_page *m, const uint8_t *p);
uint32_t mode_bits(const struct mode_page *m); /* the LU_ bits it has */

void mode_reset(struct lu *l); /* current values as saved */
void mode_apply(struct lu *l); /* the volume does what they say */
size_t mode_encode(struct lu *l, uint8_t *p, size_t room);
bool mode_decode(struct lu *l, const uint8_t *p, size_t len);
