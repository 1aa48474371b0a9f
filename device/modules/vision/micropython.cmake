# The vision module for ports that MicroPython builds with CMake (esp32, rp2). No port here uses it:
# untested on hardware. Read through USER_C_MODULES; micropython.mk does the same for the others.
add_library(usermod_vision INTERFACE)

get_filename_component(VISION_KERNELS_DIR ${CMAKE_CURRENT_LIST_DIR}/../../kernels ABSOLUTE)
file(GLOB VISION_KERNELS CONFIGURE_DEPENDS ${VISION_KERNELS_DIR}/*.c ${VISION_KERNELS_DIR}/*/*.c)

target_sources(usermod_vision INTERFACE ${CMAKE_CURRENT_LIST_DIR}/modvision.c ${VISION_KERNELS})
target_include_directories(usermod_vision INTERFACE ${VISION_KERNELS_DIR})
set_source_files_properties(${VISION_KERNELS} PROPERTIES COMPILE_OPTIONS -O3)
target_link_libraries(usermod INTERFACE usermod_vision)
