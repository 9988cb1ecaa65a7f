# Run at each build: writes OUTPUT, which defines the version, the commit and
# whether there is a CUDA backend, where any of them changed.
set(commit unknown)
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} describe --always --abbrev=8 --dirty=+ --exclude=*
                  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE described
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(described)
    set(commit ${described})
  endif()
endif()
set(has_cuda false)
if(CUDA)
  set(has_cuda true)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "namespace subgen {
extern const char kVersion[];
extern const char kCommit[];
extern const bool kHasCuda;
const char kVersion[] = \"${VERSION}\";
const char kCommit[] = \"${commit}\";
const bool kHasCuda = ${has_cuda};
}  // namespace subgen
")
