/* mbedtls_config: the system's mbedTLS without its debug output, as this port compiles against it.
 *
 * MicroPython turns that output on wherever mbedTLS has it, and it prints the secrets of every
 * handshake. The library itself stays as it is: only a callback is never set. */
#if __has_include(<mbedtls/mbedtls_config.h>)
#include <mbedtls/mbedtls_config.h>
#else
#include <mbedtls/config.h>
#endif
#undef MBEDTLS_DEBUG_C
