/* SPDX-License-Identifier: Apache-2.0 */
/* Every function of a library the host happens to have: none of them may ever be called by the
 * bundle. */
#include <stdlib.h>

#define TRAP(name)                                                                                 \
    void name(void);                                                                               \
    void name(void) {                                                                              \
        abort();                                                                                   \
    }

TRAP(sqlite3_open_v2)
TRAP(sqlite3_open)
TRAP(sqlite3_initialize)
TRAP(sqlite3_config)
TRAP(sqlite3_prepare_v2)
TRAP(sqlite3_prepare_v3)
TRAP(sqlite3_step)
TRAP(sqlite3_exec)
TRAP(sqlite3_finalize)
TRAP(sqlite3_close_v2)
TRAP(sqlite3_libversion)
TRAP(sqlite3_libversion_number)
TRAP(sqlite3_threadsafe)
TRAP(SSL_CTX_new)
TRAP(SSL_new)
TRAP(SSL_read)
TRAP(SSL_write)
TRAP(OPENSSL_init_ssl)
TRAP(OPENSSL_init_crypto)
TRAP(OpenSSL_version)
TRAP(OpenSSL_version_num)
TRAP(EVP_MD_fetch)
TRAP(EVP_DigestInit_ex)
TRAP(RAND_bytes)
TRAP(ERR_get_error)
TRAP(deflateInit2_)
TRAP(inflateInit2_)
TRAP(zlibVersion)
TRAP(ffi_call)
TRAP(XML_ParserCreate)
