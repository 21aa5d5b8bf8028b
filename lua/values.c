/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: Lua strings outside, base64 text at the C interface. */
#include "module.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_group(const unsigned char *in, size_t count, char *out) {
    uint32_t bits =
        (uint32_t)in[0] << 16 | (count > 1 ? (uint32_t)in[1] << 8 : 0) | (count > 2 ? in[2] : 0);
    for (int i = 0; i < 4; i++)
        out[i] = (size_t)i > count ? '=' : alphabet[bits >> (18 - 6 * i) & 63];
}

/* to_base64(bytes) -> text */
static int to_base64(lua_State *L) {
    size_t size;
    const unsigned char *data = (const unsigned char *)luaL_checklstring(L, 1, &size);
    luaL_Buffer buffer;
    char group[4];
    luaL_buffinit(L, &buffer);
    for (size_t i = 0; i < size; i += 3) {
        encode_group(data + i, size - i < 3 ? size - i : 3, group);
        luaL_addlstring(&buffer, group, sizeof group);
    }
    luaL_pushresult(&buffer);
    return 1;
}

/* from_base64(text) -> bytes, or nothing when the text is none */
static int from_base64(lua_State *L) {
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    uint32_t bits = 0;
    int held = 0;
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (; size > 0 && text[size - 1] == '='; size--) {
    }
    for (size_t i = 0; i < size; i++) {
        const char *at = memchr(alphabet, text[i], 64);
        if (at == NULL)
            return 0;
        bits = (bits << 6 | (uint32_t)(at - alphabet)) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            luaL_addchar(&buffer, (char)(bits >> held & 0xff));
        }
    }
    luaL_pushresult(&buffer);
    return 1;
}

const luaL_Reg ml_value_functions[] = {
    {"to_base64", to_base64}, {"from_base64", from_base64}, {NULL, NULL}};
